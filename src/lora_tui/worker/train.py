"""Fine-tuning: TRL's SFTTrainer with PEFT's LoRA, loss on the assistant's tokens alone."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import torch

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.worker import checkpoints, loading, ranks
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.callbacks.answers import Answers
from lora_tui.worker.callbacks.controls import Controls
from lora_tui.worker.callbacks.telling import Telling
from lora_tui.worker.collate import Padded, as_dataset
from lora_tui.worker.global_batch import shared
from lora_tui.worker.hardware import HardwareWatch
from lora_tui.worker.lora import with_lora
from lora_tui.worker.requests import Requests
from lora_tui.worker.saving import save_adapter
from lora_tui.worker.threads import choose_threads
from lora_tui.worker.token_rows import check_unchanged, token_rows
from lora_tui.worker.trainer import AssistantTrainer

ADAPTER = "adapter"


def train(job: Train, folder: Path, log: journal.Journal, asked: Requests) -> None:
    """Train to the end, or until asked to stop; goes on from the newest complete checkpoint of `folder`."""
    if (folder / ADAPTER).is_dir():
        _tell_finished(folder, log)
        return
    begin = time.monotonic()
    place = ranks.here()
    profile = shared(job.profile, place.world, log)
    check_unchanged(job, folder / job.dataset)
    torch.manual_seed(profile.training.seed)  # the adapter's first weights
    tokenizer = loading.load_tokenizer(job.base)
    with ranks.first_goes_first():
        rows, validation = token_rows(job, folder, tokenizer, log)
    device = loading.device_here()
    log.write(journal.Progress(stage="load the base", done=0))
    model = loading.load_model(job.base, bf16=profile.training.bf16, device=device)
    if device == "cpu":
        choose_threads(model.config.get_text_config().hidden_size)
    model.config.use_cache = False
    model = with_lora(model, profile)
    point = checkpoints.newest(folder)
    telling = Telling(folder, log, loading.device_name(device), point)
    controls = Controls(asked, log)
    trainer = AssistantTrainer(
        model=model,
        args=sft_config(profile, folder, device, validation=bool(validation)),
        train_dataset=as_dataset(rows),
        eval_dataset=as_dataset(validation) if validation else None,
        processing_class=tokenizer,
        data_collator=Padded(tokenizer.pad_token_id),
        callbacks=[telling, Answers(log, tokenizer, job.samples), controls],
    )
    trainer.telling = telling
    with HardwareWatch(log):
        trainer.train(resume_from_checkpoint=str(point.path) if point else None)
    if controls.stopped:
        log.write(journal.Stopped(step=trainer.state.global_step, checkpoint=telling.last_checkpoint))
        return
    if place.first:
        save_adapter(model, job.base, folder / ADAPTER)
    log.write(
        journal.Finished(
            steps=trainer.state.global_step,
            loss=telling.last_loss,
            eval_loss=telling.last_eval,
            seconds=time.monotonic() - begin,
            output=ADAPTER,
        )
    )


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
