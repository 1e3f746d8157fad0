"""The rows of a run as tokens, with what is left out or split told to the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset

from lora_tui.dataset import versions
from lora_tui.jobs import journal
from lora_tui.jobs.audit import Cut, LeftOut
from lora_tui.jobs.job import Train
from lora_tui.worker.continuing import check_new
from lora_tui.worker.rows import read_rows
from lora_tui.worker.token_table import FOLDER, write_rows
from lora_tui.worker.tokenize import Tokens, check_trainable, cut, tokenize
from lora_tui.worker.untrained import cut_warnings, warnings_of
from lora_tui.workspace.errors import BadInput

OFTEN = 0.5  # seconds between two words on how far the tokeniser is


def check_unchanged(job: Train, dataset: Path) -> None:
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


def token_rows(job: Train, folder: Path, tokenizer: Any, log: journal.Journal) -> tuple[Dataset, Dataset]:
    """The training and validation rows as tables of tokens; what was left out or split is a warning with its reason."""
    dataset = folder / job.dataset
    limit = job.profile.training.max_length
    left_out: list[LeftOut] = []
    cuts: dict[str, Cut] = {}

    def kept(split: str) -> Iterator[Tokens]:
        told = time.monotonic()
        for done, item in enumerate(tokenize(tokenizer, read_rows(dataset, split), split, limit), start=1):
            if isinstance(item, LeftOut):
                left_out.append(item)
            else:
                if (split_row := cut(item, split)) is not None:
                    cuts[item.id] = split_row
                yield item
            if time.monotonic() - told > OFTEN:
                told = time.monotonic()
                log.write(journal.Progress(stage="tokenise", done=done))

    known = frozenset(job.known)
    old = 0

    def new() -> Iterator[Tokens]:
        nonlocal old
        for item in kept("train"):
            if item.id in known:
                old += 1
            else:
                yield item

    train = write_rows(folder / FOLDER / "train.arrow", new())
    check_trainable(len(train) + old, left_out, str(dataset), limit)
    if known:
        check_new(len(train))
        name = job.start_name or "the adapter"
        told = f"{len(train)} of {len(train) + old} rows are new to {name}; the others are left out"
        log.write(journal.Note(message=told))
    validation = write_rows(folder / FOLDER / "validation.arrow", kept("validation"))
    for warning in [*warnings_of(left_out, limit), *cut_warnings(list(cuts.values()), limit)]:
        log.write(warning)
    return train, validation
