"""The rows of files, one after the other: those that may be kept wait on disk, the others are listed at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.choose import like
from lora_tui.dataset.contamination import Prompts
from lora_tui.dataset.coverage import request_of
from lora_tui.dataset.incoming import Incoming, Problem, Reader
from lora_tui.dataset.left_out import LeftOut
from lora_tui.dataset.model import Rejected
from lora_tui.dataset.spool import Spool

LISTED = 100  # problems told at once; rejected.jsonl lists all

Progress = Callable[[int, int], None]


class Told(msgspec.Struct):
    """What is counted while the files are read."""

    formats: Counter[str]
    edited: int = 0
    bad: int = 0
    like_suites: int = 0
    problems: list[Problem] = []


class Kept(msgspec.Struct, frozen=True):
    """A row that waits in the spool. split: of its file, '' where it tells none."""

    item: Candidate
    split: str
    copy: int


def taken(
    reader: Reader,
    found: Sequence[tuple[str, Path]],
    spool: Spool,
    prompts: Prompts,
    left_out: LeftOut,
    told: Told,
    progress: Progress | None,
) -> list[Kept]:
    """Every row that is one; what is none, or is what a suite asks, goes to rejected.jsonl at once."""
    kept: list[Kept] = []
    seen: dict[tuple[str, int], str] = {}
    homes: dict[str, tuple[str, str]] = {}  # the split that a row and its repetitions are in, and where it stood first
    done = 0
    for split, path in found:
        for item in reader.rows(path):
            done += 1
            if progress is not None:
                progress(done, 0)
            if isinstance(item, Incoming):
                first = seen.setdefault((item.row.id, item.row.copy), item.where)
                home, there = homes.setdefault(item.row.id, (split, item.where))
                if first == item.where and home == split:
                    if suite := prompts.suite_like(item.row):
                        told.like_suites += 1
                        left_out.add([Rejected(item.row.id, 0, like(suite), request_of(item.row), item.where)])
                        continue
                    told.formats[item.format] += 1
                    told.edited += item.edited
                    kept.append(Kept(_candidate(item, spool.put(item.row)), split, item.row.copy))
                    continue
                item = Problem(item.where, f"the same row twice: also {first if home == split else there}")
            told.bad += 1
            left_out.add([_rejected(item)])
            if len(told.problems) < LISTED:
                told.problems.append(item)
    return kept


def _candidate(item: Incoming, place: int) -> Candidate:
    row = item.row
    return Candidate(
        id=row.id,
        key=row.key,
        example=0,
        language=row.language,
        source=row.source,
        origin=row.origin,
        shape=row.shape,
        model=row.model,
        licence=row.licence,
        session=row.session,
        root=row.session or row.id,
        repository=row.repository,
        created=0,
        cluster=0,
        characters=sum(len(message.content) for message in row.messages),
        request="",
        by_person=False,
        findings=tuple(rule for rule, number in item.findings.items() for _ in range(number)),
        place=place,
    )


def _rejected(problem: Problem) -> Rejected:
    """The problem with a reason that is the same for all of its kind, so that they can be counted."""
    reason, _, details = problem.reason.partition(": ")
    about = f"{problem.where}: {details}" if details else problem.where
    return Rejected(id="", example=0, reason=reason, request="", about=about)
