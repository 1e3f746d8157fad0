"""Counting a dataset before anything is spent on it."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from lora_tui.jobs import audit as record
from lora_tui.jobs import journal
from lora_tui.jobs.job import Audit
from lora_tui.worker import loading
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.lora import with_lora
from lora_tui.worker.render import check_trainable, tokenize
from lora_tui.worker.rows import read_split
from lora_tui.workspace.profiles import Profile, Training


def audit(job: Audit, folder: Path, log: journal.Journal) -> None:
    """Write audit.json into `folder`. Raises BadInput where nothing could be trained on."""
    begin = time.monotonic()
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), versions=loading.versions()))
    sft_config(job.profile, folder, loading.device_here(), validation=False)  # what a run would be refused for
    dataset = folder / job.dataset
    limit = job.profile.training.max_length
    tokenizer = loading.load_tokenizer(job.base)

    def progress(done: int, total: int) -> None:
        log.write(journal.Progress(stage="count tokens", done=done, total=total))

    kept, left_out = tokenize(tokenizer, read_split(dataset, "train"), "train", limit, progress)
    check_trainable(kept, left_out, str(dataset), limit)
    validation, left_out_too = tokenize(tokenizer, read_split(dataset, "validation"), "validation", limit)
    config = loading.load_config(job.base)
    shape = config.get_text_config()
    parameters, trainable = count_parameters(config, job.profile)
    lengths = [len(row.input_ids) for row in kept]
    record.save(
        folder,
        record.Audited(
            rows=len(kept),
            validation_rows=len(validation),
            left_out=(*left_out, *left_out_too),
            tokens=sum(lengths),
            loss_tokens=sum(row.loss_tokens for row in kept),
            longest=max([*lengths, *(row.tokens for row in left_out)]),
            longest_kept=max(lengths),
            most_loss_tokens=max(row.loss_tokens for row in kept),
            histogram=histogram([*lengths, *(row.tokens for row in left_out if row.tokens)]),
            max_length=limit,
            vocabulary=shape.vocab_size,
            hidden_size=shape.hidden_size,
            layers=shape.num_hidden_layers,
            parameters=parameters,
            trainable_parameters=trainable,
            steps=steps_of(len(kept), job.profile.training),
        ),
    )
    log.write(journal.Finished(seconds=time.monotonic() - begin, output=record.FILE))


def count_parameters(config: Any, profile: Profile) -> tuple[int, int]:
    """Parameters of the base and of the adapters, counted without loading a weight."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        total = sum(weight.numel() for weight in model.parameters())
        tuned = with_lora(model, profile)
    return total, sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)


def histogram(lengths: Sequence[int]) -> tuple[record.Bin, ...]:
    """Rows per power of two of tokens, from 64 on."""
    bins: dict[int, int] = {}
    for length in lengths:
        up_to = max(64, 1 << max(0, length - 1).bit_length())
        bins[up_to] = bins.get(up_to, 0) + 1
    return tuple(record.Bin(up_to=up_to, rows=bins[up_to]) for up_to in sorted(bins))


def steps_of(rows: int, training: Training) -> int:
    """Optimizer steps of the whole run, as Trainer counts them in one process."""
    if training.max_steps > 0:
        return training.max_steps
    micro = math.ceil(rows / training.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(micro / training.gradient_accumulation_steps))
    return math.ceil(training.num_train_epochs * per_epoch)
