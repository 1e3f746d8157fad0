"""One real step at its fullest: the profile's own run on the dataset's longest rows, and what it took.

It is the engine's training itself, in this process, on a dataset of the rows that fill two micro-batches most and those
with the most labels. The first step fills the optimizer's states, so that the second is as full as any; gradients lie
there while the second micro-batch of a step works, and an evaluation and a checkpoint follow each step, as in a run.
"""

from __future__ import annotations

import heapq
import os
import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.jobs import journal, probed
from lora_tui.jobs.job import Probe, Train
from lora_tui.worker import loading
from lora_tui.worker.peak import peak_bytes
from lora_tui.worker.requests import Requests
from lora_tui.worker.rows import read_rows
from lora_tui.worker.tokenize import Tokens, tokenize
from lora_tui.worker.train import train
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Profile

_STEPS = 2
_MICRO = 2  # micro-batches of a step


def probe(job: Probe, folder: Path, log: journal.Journal, asked: Requests) -> None:
    """Train two steps in `folder` and write `job.output`. Raises what a run would, BadInput without a usable row."""
    begin = time.monotonic()
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), versions=loading.versions()))
    log.write(journal.Progress(stage="find the longest rows", done=0))
    longest = _fullest_rows(job, folder)
    log.write(journal.Progress(stage="take one real step", done=0))
    inside = folder / "steps"
    inner = journal.Journal(inside / "journal.jsonl")
    try:
        whole = Train(
            profile=shortened(job.profile),
            base=job.base,
            dataset=str(folder / "fullest"),
            general=job.general,
            replay=job.replay,
        )
        train(whole, inside, inner, asked)
    finally:
        inner.close()
    device = loading.device_here()
    steps = [item for item in journal.JournalReader(inner.path).read() if isinstance(item, journal.Metrics)]
    if not steps:
        raise LoraTuiError("the step could not be taken", where=str(folder / "stderr.log"))
    found = probed.Probed(
        peak=peak_bytes(device),
        seconds=steps[-1].step_seconds * _share(job.profile),
        tokens_per_second=steps[-1].tokens_per_second,
        longest=longest,
        rows=job.profile.training.per_device_train_batch_size,
        device=loading.device_name(device),
        host=socket.gethostname(),
        time=time.time(),
    )
    probed.save(folder / job.output, found)
    log.write(journal.Finished(steps=len(steps), seconds=time.monotonic() - begin, output=job.output))


def shortened(profile: Profile) -> Profile:
    """The profile for two short steps, each with its evaluation and checkpoint, and nothing else."""
    training = msgspec.structs.replace(
        profile.training,
        engine="trl",
        max_steps=_STEPS,
        gradient_accumulation_steps=min(_MICRO, profile.training.gradient_accumulation_steps),
        logging_steps=1,
        eval_steps=1,
        save_steps=1,
        warmup_steps=0.0,
        warmup_ratio=0.0,
        early_stopping_patience=0,
        load_best_model_at_end=False,
        oom_retries=0,
        report_to=(),
    )
    forgetting = msgspec.structs.replace(profile.forgetting, measure=False)
    return msgspec.structs.replace(profile, training=training, forgetting=forgetting)


def _share(profile: Profile) -> float:
    """How many of the probed steps make one of the run."""
    whole = profile.training.gradient_accumulation_steps
    return whole / min(_MICRO, whole)


def _fullest_rows(job: Probe, folder: Path) -> int:
    """Write the fullest rows of train and validation as a dataset of their own; tokens of the longest."""
    tokenizer = loading.load_tokenizer(job.base)
    rows = job.profile.training.per_device_train_batch_size
    output = folder / "fullest"
    output.mkdir(parents=True, exist_ok=True)
    longest = 0
    for split in ("train", "validation"):
        tokens, wanted = _choice(job, folder, split, rows, tokenizer)
        if split == "train":
            if not wanted:
                raise BadInput("no row of this dataset can be trained on", where=job.dataset, fix="See the plan.")
            longest = tokens
        with (output / f"{split}.jsonl").open("wb") as file:
            for row in read_rows(folder / job.dataset, split):
                if row.id in wanted:
                    file.write(msgspec.json.encode(msgspec.structs.replace(row, toolset="")) + b"\n")
    return longest


def _choice(job: Probe, folder: Path, split: str, rows: int, tokenizer: Any) -> tuple[int, set[str]]:
    """(tokens of the longest, ids): the longest for each micro-batch of `rows`, and the `rows` with the most labels."""
    sizes: dict[str, tuple[int, int]] = {}
    for item in tokenize(tokenizer, read_rows(folder / job.dataset, split), split, job.profile.training.max_length):
        if isinstance(item, Tokens):
            before = sizes.get(item.id, (0, 0))
            sizes[item.id] = (max(before[0], len(item.input_ids)), max(before[1], item.loss_tokens))
    by_length = heapq.nlargest(_MICRO * rows, sizes, key=lambda name: sizes[name])
    by_labels = heapq.nlargest(rows, sizes, key=lambda name: (sizes[name][1], sizes[name][0]))
    return max((length for length, _ in sizes.values()), default=0), {*by_length, *by_labels}
