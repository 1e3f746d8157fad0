"""Fine-tuning: TRL's SFTTrainer with PEFT's LoRA, loss on the assistant's tokens alone."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.worker import (
    allocator,
    apart,
    checkpoints,
    cpu_bf16,
    loading,
    oom,
    ranks,
    recovery,
    resuming,
    sharding,
    unsloth_model,
)
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.callbacks.answers import Answers
from lora_tui.worker.callbacks.best import Best
from lora_tui.worker.callbacks.controls import Controls
from lora_tui.worker.callbacks.guards import Guards
from lora_tui.worker.callbacks.telling import Telling
from lora_tui.worker.collate import Padded
from lora_tui.worker.continuing import with_adapter
from lora_tui.worker.eva import begin_from_rows
from lora_tui.worker.fingerprint import fingerprint
from lora_tui.worker.forgetting.keeping import Keeping, keeping
from lora_tui.worker.global_batch import shared
from lora_tui.worker.hardware import HardwareWatch
from lora_tui.worker.launch import TooLarge
from lora_tui.worker.lora import with_lora
from lora_tui.worker.new_tokens import NewTokens, add_tokens, make_room, make_room_for_adapter
from lora_tui.worker.oom import Batch
from lora_tui.worker.reporters import integrations
from lora_tui.worker.requests import Ended, Requests
from lora_tui.worker.saving import save_adapter
from lora_tui.worker.taken_out import keep_beginning
from lora_tui.worker.threads import choose_threads
from lora_tui.worker.token_rows import check_unchanged, token_rows
from lora_tui.worker.token_table import FOLDER, filled_up, lengths_of, with_more, write_packs
from lora_tui.worker.trainer import AssistantTrainer
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.sanity import mutates_base

ADAPTER = "adapter"
_PACKING_ON_CPU = journal.Warned(
    message="on a CPU packing is slower than batches of rows of similar length",
    advice="Set training.packing = false; the result is the same but for which rows share a step.",
    code="packing_on_cpu",
)
_TRL_GOES_ON = journal.Warned(
    message="Unsloth begins adapters only: TRL trains this one, which goes on from another", code="engine"
)


@dataclass
class Prepared:
    """What stays the same however often a run has to take its steps again."""

    tokenizer: Any
    pieces: NewTokens
    rows: Dataset  # a table of tokens
    packs: Dataset | None  # of these rows, where they are packed
    validation: Dataset
    device: str
    model: Any
    settings: dict[str, str]
    profile: Profile  # this process's part of it
    keeping: Keeping


def train(job: Train, folder: Path, log: journal.Journal, asked: Requests) -> None:
    """Train to the end, or until asked to stop; goes on from the newest whole checkpoint of `folder`."""
    if (folder / ADAPTER).is_dir():
        _tell_finished(folder, log)
        return
    begin = time.monotonic()
    profile = shared(job.profile, ranks.here().world, log)
    with HardwareWatch(log, watching=ranks.here().first):
        check_unchanged(job, folder / job.dataset)
        point = resuming.find_point(job, folder, log)
        batch = resuming.batch_in_force(profile, log, job.planned_bytes)
        controls = Controls(asked, log)
        best = _best(job, log)
        try:
            ready = _prepare(job, profile, folder, log, asked)
        except Ended:
            path = point.path.relative_to(folder).as_posix() if point else ""
            log.write(journal.Stopped(step=point.step if point else 0, checkpoint=path))
            return
        trainer = _trainer(job, folder, log, ready, batch, point, controls, best)
        retry = 0
        while problem := recovery.run(trainer, str(point.path) if point else None, ready.rows):
            retry += 1
            batch, word = recovery.smaller(problem, batch, job, retry)
            if ranks.here().world > 1:  # the others wait for this one's gradients, and cannot be told
                raise TooLarge(word)
            log.write(word)
            point, _ = checkpoints.newest(folder)
            half_changed = trainer.halfway and point is None
            del trainer
            oom.free()
            if half_changed:  # and nothing to put back over it
                ready.model = None
                oom.free()
                ready.model = _model(job, folder, ready.tokenizer, ready.pieces, ready.rows, ready.device, log)
                ready.keeping.watch(ready.model)
            trainer = _trainer(job, folder, log, ready, batch, point, controls, best)
        _end(trainer, ready, job, folder, log, controls, best, time.monotonic() - begin)


def _prepare(job: Train, profile: Profile, folder: Path, log: journal.Journal, asked: Requests) -> Prepared:
    """Rows and model. Raises Ended when someone asks to stop on the way."""
    tokenizer = loading.load_tokenizer(job.start_from if loading.has_tokenizer(job.start_from) else job.base)
    pieces = {} if job.start_from else add_tokens(tokenizer, profile.lora.new_tokens)
    _end_if_stopped(asked)
    if profile.training.packing:
        apart.check_packable(loading.load_config(job.base), job.base)
    with ranks.first_goes_first():
        rows, validation = token_rows(job, folder, tokenizer, log)
    _end_if_stopped(asked)
    device = loading.device_here()
    if sharding.wanted(job, device, log, room=loading.room(device)):
        sharding.prepare()
    model = _model(job, folder, tokenizer, pieces, rows, device, log)
    _end_if_stopped(asked)
    kept = keeping(job, profile, folder, model, tokenizer, lengths_of(rows), log, asked)
    if kept.mixed:
        rows = with_more(rows, folder / FOLDER / "mixed.arrow", kept.mixed)
    packs = None
    if profile.training.packing:
        packs = write_packs(folder / FOLDER / "packs.arrow", rows, profile.training.max_length)
        if device == "cpu":
            log.write(_PACKING_ON_CPU)
    settings = fingerprint(job, folder)
    return Prepared(tokenizer, pieces, rows, packs, validation, device, model, settings, profile, kept)


def _end_if_stopped(asked: Requests) -> None:
    """Raises Ended where any process was asked to stop: before the first step nothing is worth finishing."""
    if any(ranks.any_of(asked.stop)):
        raise Ended


def _model(
    job: Train,
    folder: Path,
    tokenizer: Any,
    pieces: NewTokens,
    rows: Dataset,
    device: str,
    log: journal.Journal,
) -> Any:
    """The base with fresh adapters, or with those of the adapter that the run goes on from."""
    log.write(journal.Progress(stage="load the base", done=0))
    training = job.profile.training
    allocator.give_back_freed(loading.load_config(job.base).get_text_config().hidden_size)
    torch.manual_seed(training.seed)  # the adapter's first weights
    if unsloth_model.builds(job.profile):
        if not job.start_from:
            return unsloth_model.model(job.base, job.profile)
        log.write(_TRL_GOES_ON)
    model = loading.load_base(job.base, job.profile, device, sharded=sharding.is_prepared())
    if device == "cpu":
        os.nice(max(0, training.nice - os.nice(0)))
        choose_threads(model, training.threads)
    if job.start_from:
        make_room_for_adapter(model, job.start_from)
    else:
        make_room(model, tokenizer, pieces)
    packed = job.profile.model.load_in_4bit or job.profile.model.load_in_8bit
    if device == "cpu" and model.dtype is torch.bfloat16 and not packed:
        model = cpu_bf16.checked(model, rows, log, asked=training.bf16 is True)
    if training.packing:
        apart.check_apart(model, job.base, device)
    model.config.use_cache = False
    if job.start_from:
        return with_adapter(model, Path(job.start_from), job.profile)
    model = with_lora(model, job.profile, pieces)
    if mutates_base(job.profile.lora):
        keep_beginning(model, folder, first=ranks.here().first)
    if job.profile.lora.init_lora_weights == "eva" and checkpoints.newest(folder)[0] is None:
        batch = job.profile.training.per_device_train_batch_size
        begin_from_rows(model, rows, Padded(tokenizer.pad_token_id), batch, device)
    return model


def _trainer(
    job: Train,
    folder: Path,
    log: journal.Journal,
    ready: Prepared,
    batch: Batch,
    point: checkpoints.Point | None,
    controls: Controls,
    best: Best | None,
) -> AssistantTrainer:
    """A trainer of these rows and this model, whose steps are cut as `batch` says."""
    profile = _cut(ready.profile, batch)
    telling = Telling(folder, log, loading.device_name(ready.device), point)
    guards = Guards(log, controls, profile.training.stop_on)
    if point:
        guards.recall(log.path, point.step)
    table = ready.packs or ready.rows
    here = ranks.here()
    turn = batch.rows * here.world if here.world > 1 else 1
    path = folder / FOLDER / f"filling-{here.rank}.arrow"
    rows = filled_up(table, path, turn, ready.tokenizer.pad_token_id)
    trainer = AssistantTrainer(
        model=ready.model,
        args=sft_config(
            profile,
            folder,
            ready.device,
            validation=len(ready.validation) > 0,
            sharding=sharding.settings() if sharding.is_prepared() else None,
        ),
        train_dataset=rows,
        eval_dataset=ready.validation if len(ready.validation) else None,
        processing_class=ready.tokenizer,
        data_collator=Padded(ready.tokenizer.pad_token_id),
        callbacks=[
            telling,
            Answers(log, ready.tokenizer, job.samples),
            guards,
            *([best] if best and ready.validation else []),
            controls,
            *ready.keeping.callbacks,
            *integrations(job.profile.training, log),
        ],
    )
    trainer.filling = len(rows) - len(table)
    trainer.telling = telling
    trainer.profile = ready.profile
    trainer.settings = ready.settings
    trainer.penalties, trainer.meter, trainer.kept = ready.keeping.begin()
    trainer.on_spoiled = guards.not_numbers
    trainer.rows_in_order = resuming.planned_batch(ready.profile).rows
    if point:
        for item in trainer.kept:
            item.load(point.path)
    return trainer


def _cut(profile: Profile, batch: Batch) -> Profile:
    training = msgspec.structs.replace(
        profile.training,
        per_device_train_batch_size=batch.rows,
        gradient_accumulation_steps=batch.accumulation,
    )
    return msgspec.structs.replace(profile, training=training)


def _end(
    trainer: AssistantTrainer,
    ready: Prepared,
    job: Train,
    folder: Path,
    log: journal.Journal,
    controls: Controls,
    best: Best | None,
    seconds: float,
) -> None:
    """Keep the adapter and say that the run has finished; or that it was stopped."""
    telling = trainer.telling
    if controls.stopped:
        log.write(
            journal.Stopped(step=trainer.state.global_step, checkpoint=telling.last_checkpoint, reason=controls.reason)
        )
        return
    best_step = _keep_best(trainer, folder, log) if best and ready.validation else 0
    if not trainer.weights_are_numbers():
        raise LoraTuiError(
            "the adapter is worth nothing: its weights are not numbers",
            where=str(folder),
            fix="Start a new run with a lower training.learning_rate.",
        )
    ready.keeping.measure_end(ready.model, trainer.state.global_step, best_step)
    beside = ready.keeping.beside()
    weights = sharding.whole_weights(trainer)
    if ranks.here().first:
        save_adapter(
            ready.model,
            job.base,
            folder / ADAPTER,
            beside,
            beginning=folder if mutates_base(job.profile.lora) and not job.start_from else None,
            tokenizer=ready.tokenizer if ready.pieces or loading.has_tokenizer(job.start_from) else None,
            weights=weights,
        )
    log.write(
        journal.Finished(
            steps=trainer.state.global_step,
            loss=telling.last_loss,
            eval_loss=trainer.state.best_metric if best_step else telling.last_eval,
            seconds=seconds,
            output=ADAPTER,
            best_step=best_step,
        )
    )


def _best(job: Train, log: journal.Journal) -> Best | None:
    """What keeps the best weights, where the profile wants them."""
    training = job.profile.training
    if not (training.early_stopping_patience or training.load_best_model_at_end):
        return None
    return Best(log, training.early_stopping_patience, training.early_stopping_threshold)


def _keep_best(trainer: AssistantTrainer, folder: Path, log: journal.Journal) -> int:
    """Load the best weights where they are not the last; the step that they are of, 0 for the last."""
    best = trainer.state.best_global_step
    if not best or best == trainer.state.global_step:
        return 0
    loaded = trainer.load_best(folder)
    if loaded is None:
        log.write(
            journal.Warned(
                message=f"the best weights, of step {best}, are not there any more",
                advice="The adapter has the last ones.",
                code="best",
                step=trainer.state.global_step,
            )
        )
    return loaded or 0


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
