"""The rows of a run as tokens, with what is left out or split told to the journal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lora_tui.dataset import versions
from lora_tui.jobs import journal
from lora_tui.jobs.audit import Cut, LeftOut
from lora_tui.jobs.job import Train
from lora_tui.worker.continuing import without_known
from lora_tui.worker.rows import read_rows
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


def token_rows(job: Train, folder: Path, tokenizer: Any, log: journal.Journal) -> tuple[list[Tokens], list[Tokens]]:
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
    if job.known:
        new = without_known(found["train"], frozenset(job.known))
        log.write(
            journal.Note(
                message=f"{len(new)} of {len(found['train'])} rows are new to {job.start_name or 'the adapter'}; "
                "the others are left out"
            )
        )
        found["train"] = new
    for warning in [*warnings_of(left_out, limit), *cut_warnings(list(cuts.values()), limit)]:
        log.write(warning)
    return found["train"], found["validation"]
