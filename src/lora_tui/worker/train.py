"""Fine-tuning: TRL's SFTTrainer with PEFT's LoRA, loss on the assistant's tokens alone."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import torch
from trl import SFTTrainer

from lora_tui.dataset import versions
from lora_tui.jobs import journal
from lora_tui.jobs.audit import Cut, LeftOut
from lora_tui.jobs.job import Train
from lora_tui.worker import checkpoints, loading
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.callbacks import Stopping, Telling
from lora_tui.worker.collate import Padded, SimilarLengths, as_dataset
from lora_tui.worker.hardware import HardwareWatch
from lora_tui.worker.lora import with_lora
from lora_tui.worker.loss import can_skip_masked, label_only_loss
from lora_tui.worker.rows import read_rows
from lora_tui.worker.stopping import StopRequest
from lora_tui.worker.threads import choose_threads
from lora_tui.worker.tokenize import IGNORED, Tokens, check_trainable, cut, tokenize
from lora_tui.worker.untrained import cut_warnings, warnings_of
from lora_tui.workspace.errors import BadInput

ADAPTER = "adapter"
OFTEN = 0.5  # seconds between two words on how far the tokeniser is


def train(job: Train, folder: Path, log: journal.Journal, stop: StopRequest) -> None:
    """Train to the end, or until asked to stop; goes on from the newest complete checkpoint of `folder`."""
    if (folder / ADAPTER).is_dir():
        _tell_finished(folder, log)
        return
    begin = time.monotonic()
    profile = job.profile
    _check_unchanged(job, folder / job.dataset)
    torch.manual_seed(profile.training.seed)  # the adapter's first weights
    tokenizer = loading.load_tokenizer(job.base)
    rows, validation = _rows(job, folder, tokenizer, log)
    device = loading.device_here()
    log.write(journal.Progress(stage="load the base", done=0))
    model = loading.load_model(job.base, bf16=profile.training.bf16, device=device)
    if device == "cpu":
        choose_threads(model.config.get_text_config().hidden_size)
    model.config.use_cache = False
    model = with_lora(model, profile)
    point = checkpoints.newest(folder)
    telling = Telling(folder, log, tokenizer, job.samples, loading.device_name(device), point)
    stopping = Stopping(stop)
    trainer = AssistantTrainer(
        model=model,
        args=sft_config(profile, folder, device, validation=bool(validation)),
        train_dataset=as_dataset(rows),
        eval_dataset=as_dataset(validation) if validation else None,
        processing_class=tokenizer,
        data_collator=Padded(tokenizer.pad_token_id),
        callbacks=[telling, stopping],
    )
    trainer.telling = telling
    with HardwareWatch(log):
        trainer.train(resume_from_checkpoint=str(point.path) if point else None)
    if stopping.stopped:
        log.write(journal.Stopped(step=trainer.state.global_step, checkpoint=telling.last_checkpoint))
        return
    _save_adapter(model, job.base, folder / ADAPTER)
    log.write(
        journal.Finished(
            steps=trainer.state.global_step,
            loss=telling.last_loss,
            eval_loss=telling.last_eval,
            seconds=time.monotonic() - begin,
            output=ADAPTER,
        )
    )


class AssistantTrainer(SFTTrainer):
    """SFTTrainer on rows that are tokens already: own batches, own loss where it is equal and faster, token count."""

    telling: Telling

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss on a GPU or in several processes; else the same number without the masked positions."""
        if self.model.training:
            self.telling.tokens += int((inputs["labels"] != IGNORED).sum())
        base = self.accelerator.unwrap_model(model).get_base_model()
        alone = self.accelerator.num_processes == 1 and self.args.device.type == "cpu"
        if return_outputs or not alone or not can_skip_masked(base):
            return super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )
        return label_only_loss(base, inputs, num_items_in_batch)

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        """Evaluate without touching the random state, so that a resumed run draws the same dropout either way."""
        with torch.random.fork_rng():
            return super().evaluate(*arguments, **options)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(ids) for ids in dataset["input_ids"]]
        return SimilarLengths(lengths, self.args.train_batch_size, self.args.seed)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Not into every checkpoint: the adapter's own card is written when it is registered."""


def _check_unchanged(job: Train, dataset: Path) -> None:
    """Raises BadInput where the rows are not those the run was started with: it may go on days later."""
    if not job.dataset_hash:
        return
    found = versions.opened(dataset)
    changed = versions.damaged_files(found)
    if changed or found.manifest.hash != job.dataset_hash:
        raise BadInput(
            f"the dataset was changed since this run was started: {', '.join(changed) or 'another version is there'}",
            where=str(dataset),
            fix="Put its files back as they were, or build the next version and start a new run on it.",
        )


def _rows(job: Train, folder: Path, tokenizer: Any, log: journal.Journal) -> tuple[list[Tokens], list[Tokens]]:
    """The training and validation rows as tokens; what was left out or split is a warning with its reason."""
    dataset = folder / job.dataset
    limit = job.profile.training.max_length
    found: dict[str, list[Tokens]] = {"train": [], "validation": []}
    left_out: list[LeftOut] = []
    cuts: dict[str, Cut] = {}
    told = time.monotonic()
    for split, kept in found.items():
        for done, item in enumerate(tokenize(tokenizer, read_rows(dataset, split), split, limit), start=1):
            if isinstance(item, LeftOut):
                left_out.append(item)
            else:
                kept.append(item)
                if (split_row := cut(item, split)) is not None:
                    cuts[item.id] = split_row
            if time.monotonic() - told > OFTEN:
                told = time.monotonic()
                log.write(journal.Progress(stage="tokenise", done=done))
        if split == "train":
            check_trainable(len(kept), left_out, str(dataset), limit)
    for warning in [*warnings_of(left_out, limit), *cut_warnings(list(cuts.values()), limit)]:
        log.write(warning)
    return found["train"], found["validation"]


def _tell_finished(folder: Path, log: journal.Journal) -> None:
    """Say again that the run has finished; or for the first time, if it was killed right after saving the adapter."""
    events = journal.JournalReader(log.path).read()
    said = [event for event in events if isinstance(event, journal.Finished)]
    if said:
        advice = f"Its adapter is in {folder / ADAPTER}."
        log.write(journal.Warned(message="this run has finished already", advice=advice))
        log.write(msgspec.structs.replace(said[-1], time=0.0))
        return
    started = [event for event in events if isinstance(event, journal.Started)]
    metrics = [event for event in events if isinstance(event, journal.Metrics)]
    evaluations = [event for event in events if isinstance(event, journal.Evaluation)]
    log.write(
        journal.Finished(
            steps=started[-1].total_steps if started else 0,
            loss=metrics[-1].loss if metrics else None,
            eval_loss=evaluations[-1].eval_loss if evaluations else None,
            seconds=metrics[-1].time - started[-1].time if started and metrics else 0.0,
            output=ADAPTER,
        )
    )


def _save_adapter(model: Any, base: str, path: Path) -> None:
    """The adapter in PEFT's layout; the folder appears only when it is complete."""
    model.peft_config["default"].base_model_name_or_path = base
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        draft.chmod(0o755)
        model.save_pretrained(draft)
        (draft / "README.md").unlink(missing_ok=True)  # PEFT's empty card
        for file in draft.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        os.rename(draft, path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
