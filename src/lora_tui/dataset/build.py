"""Filling the folder of a version: examples become rows, rows are chosen between, placed, and written in order.

The rows wait on disk meanwhile. In memory there is one Candidate for each: some hundred bytes, however long the row.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from lora_tui.curation import tool_names
from lora_tui.curation.redact_rules import stamp as redaction
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.refresh import stamp as examples_stamp
from lora_tui.dataset import targets
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.choose import capped, distinct
from lora_tui.dataset.model import (
    MEMBERS_FILE,
    REJECTED_FILE,
    SPLITS,
    TOOLS_FILE,
    Count,
    Dataset,
    Manifest,
    Member,
    Rejected,
)
from lora_tui.dataset.select import select
from lora_tui.dataset.split import RULE, split
from lora_tui.dataset.spool import Spool
from lora_tui.sources.opencode.capture import Capture
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

Progress = Callable[[int, int], None]

_lines = msgspec.json.Encoder()


class Asked(msgspec.Struct, frozen=True):
    """What a version is to be made of."""

    data: Data
    shares: tuple[int, int, int]  # train, validation, test in percent
    seed: int
    capture: Capture | None  # without secrets
    earlier: Dataset | None  # whose test rows stay in test


class LeftOut:
    """rejected.jsonl, written as the examples come; counts the reasons."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.reasons: Counter[str] = Counter()

    def add(self, items: Iterable[Rejected]) -> None:
        """Write these."""
        for item in items:
            self._file.write(_lines.encode(item) + b"\n")
            self.reasons[item.reason] += 1


def fill(workspace: Workspace, folder: Path, asked: Asked, progress: Progress | None = None) -> Manifest:
    """Write every file of a version but the manifest, which is returned without name, number and profile.

    Raises BadInput when no example passes.
    """
    with (folder / REJECTED_FILE).open("wb") as file, Spool(folder) as spool:
        left_out = LeftOut(file)
        candidates = _gathered(workspace, asked, spool, left_out, progress)
        candidates, twice = distinct(candidates)
        left_out.add(twice)
        candidates, too_many = capped(candidates, asked.data.synthetic_share, asked.seed)
        left_out.add(too_many)
        if not candidates:
            raise _nothing(asked.data, left_out.reasons)
        candidates.sort(key=lambda item: (item.created, item.id))
        synthetic = [item.origin == "synthetic" for item in candidates]  # never measured on: always in train
        groups = [item.root for item in candidates]
        real = iter(split([g for g, made in zip(groups, synthetic, strict=True) if not made], asked.shares, asked.seed))
        placed = ["train" if made else next(real) for made in synthetic]
        members = [
            Member(id=item.id, key=item.key, split=where, language=item.language, group=group, session=item.session)
            for item, where, group in zip(candidates, placed, groups, strict=True)
        ]
        _write(folder, spool, candidates, members)
    if asked.capture is not None:
        (folder / TOOLS_FILE).write_bytes(_lines.encode({asked.capture.agent: asked.capture.tools}))
    return _manifest(workspace, folder, asked, candidates, placed, left_out.reasons)


def _gathered(
    workspace: Workspace, asked: Asked, spool: Spool, left_out: LeftOut, progress: Progress | None
) -> list[Candidate]:
    """Every row that may be in, waiting in the spool."""
    candidates: list[Candidate] = []
    for number, found in enumerate(select(workspace, asked.data, asked.capture), start=1):
        if isinstance(found, Rejected):
            left_out.add([found])
        else:
            candidate, row = found
            candidates.append(msgspec.structs.replace(candidate, place=spool.put(row)))
        if progress is not None:
            progress(number, 0)
    return candidates


def _write(folder: Path, spool: Spool, candidates: Sequence[Candidate], members: Sequence[Member]) -> None:
    """The split files, each in the order of the members, and members.jsonl in the order of the split files."""
    with (folder / MEMBERS_FILE).open("wb") as listed:
        for name in SPLITS:
            with (folder / f"{name}.jsonl").open("wb") as file:
                for item, member in zip(candidates, members, strict=True):
                    if member.split == name:
                        file.write(spool.line(item.place))
                        listed.write(_lines.encode(member) + b"\n")


def _manifest(
    workspace: Workspace,
    folder: Path,
    asked: Asked,
    rows: Sequence[Candidate],
    placed: Sequence[str],
    left_out: Counter[str],
) -> Manifest:
    written = hashed_files(asked.capture is not None)
    files = {name: sha256(folder / name) for name in (*written, MEMBERS_FILE, REJECTED_FILE)}
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=whole_hash(files, written),
        seed=asked.seed,
        split=asked.shares,
        split_rule=RULE,
        rows={name: placed.count(name) for name in SPLITS},
        files=files,
        left_out=dict(sorted(left_out.items())),
        recipe=asked.data,
        counts=_counts(rows, placed),
        by_model=_count(row.model or "unknown" for row in rows),
        by_shape=_count(row.shape for row in rows),
        by_origin=_count(row.origin for row in rows),
        by_licence=_count(row.licence or "unknown" for row in rows),
        by_repository=_count(last_name(row.repository) or "unknown" for row in rows),
        findings=_count(rule for row in rows for rule in row.findings),
        capture_hash=asked.capture.sha256 if asked.capture is not None else "",
        tables=tables(workspace),
    )


def tables(workspace: Workspace) -> dict[str, str]:
    """The versions of the rules that rows are made with now."""
    off = switched_off(workspace)
    return {
        "examples": examples_stamp(off).strip(),
        "redaction": redaction(off),
        "tools": str(tool_names.table().version),
        "targets": str(targets.table().version),
    }


def hashed_files(tools: bool) -> tuple[str, ...]:
    """The files that a version's hash covers."""
    return (*(f"{name}.jsonl" for name in SPLITS), *((TOOLS_FILE,) if tools else ()))


def whole_hash(files: dict[str, str], covered: Iterable[str]) -> str:
    """A version's hash, from those of its files."""
    return hashlib.sha256("".join(files[name] for name in covered).encode()).hexdigest()


def last_name(directory: str) -> str:
    """A folder's own name, whatever the machine it was on."""
    return directory.replace("\\", "/").rstrip("/").rpartition("/")[2]


def sha256(path: Path) -> str:
    """A file's hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing(data: Data, left_out: Counter[str]) -> BadInput:
    which = " or ".join(data.languages) or "any language"
    reasons = Counter(
        {reason: number for reason, number in left_out.items() if not reason.startswith(("label:", "language:"))}
    )
    if reasons:
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
        return BadInput(
            f"no accepted example of {which} can be a row of this dataset: {why}",
            fix="Ask for another shape, other sources or outcomes, or accept more examples.",
        )
    return BadInput(
        f"no accepted example of {which}",
        fix="Accept some first: in the app under Sessions, or with `lora-tui label … --accept`.",
    )


def _counts(rows: Sequence[Candidate], placed: Sequence[str]) -> tuple[Count, ...]:
    found = Counter((row.language, row.source, where) for row, where in zip(rows, placed, strict=True))
    kinds = sorted({(language, source) for language, source, _ in found})
    return tuple(
        Count(language, source, *(found[language, source, where] for where in SPLITS)) for language, source in kinds
    )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
