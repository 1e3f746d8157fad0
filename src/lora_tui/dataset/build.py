"""Filling the folder of a version: examples become rows, rows are chosen between, placed, and written in order.

The rows wait on disk meanwhile. In memory there is one Candidate for each: some hundred bytes, however long the row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset import twins
from lora_tui.dataset.apart import apart
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.choose import chosen
from lora_tui.dataset.contamination import Prompts
from lora_tui.dataset.describe import Placed, facts, hashed_files, made_with, sha256, whole_hash
from lora_tui.dataset.earlier_versions import Earlier
from lora_tui.dataset.general import Replay, draw, look_through, wanted
from lora_tui.dataset.general import notes as replay_notes
from lora_tui.dataset.held_out import repeating
from lora_tui.dataset.leakage import write_pairs
from lora_tui.dataset.left_out import LeftOut
from lora_tui.dataset.model import (
    LEAKAGE_FILE,
    MEMBERS_FILE,
    REJECTED_FILE,
    SPLITS,
    TOOLS_FILE,
    Manifest,
    Member,
    Rejected,
    Row,
)
from lora_tui.dataset.sample import Sampled, sample
from lora_tui.dataset.select import select
from lora_tui.dataset.split import LEFT_OUT, Assigned, assign
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
    capture: Capture | None = None  # without secrets
    earlier: Earlier = Earlier()


def fill(workspace: Workspace, folder: Path, asked: Asked, progress: Progress | None = None) -> Manifest:
    """Write every file of a version but the manifest, which is returned without name, number and profile.

    Raises BadInput when no example passes.
    """
    data = asked.data
    general = look_through(data.replay, asked.seed, (workspace.root,)) if data.replay else None
    prompts = Prompts.of(workspace)
    with (folder / REJECTED_FILE).open("wb") as file, Spool(folder) as spool:
        left_out = LeftOut(file)
        gathered = _gathered(workspace, asked, prompts, spool, left_out, progress)
        choice = chosen(gathered, data, asked.seed)
        candidates = choice.kept
        del gathered
        left_out.add(choice.rejected)
        if not candidates:
            raise _nothing(data, left_out.reasons)
        candidates.sort(key=lambda item: (item.created, item.id))
        earlier = asked.earlier
        places = [item.place for item in candidates]
        near = twins.pairs(_read(candidates, spool, progress), lambda at: spool.row(places[at]))
        split = apart(candidates, lambda at: spool.row(places[at]), near, earlier, asked.shares)
        candidates, pairs = split.candidates, split.pairs
        del near
        left_out.add(split.rejected)
        assigned = assign(candidates, pairs, asked.shares, asked.seed, earlier.test, earlier.validation, earlier.train)
        write_pairs(folder, candidates, pairs, assigned.placed)
        left_out.add(
            Rejected(item.id, item.example, LEFT_OUT, item.request)
            for item, where in zip(candidates, assigned.placed, strict=True)
            if not where
        )
        members, sampled = _sampled(candidates, assigned, asked)
        left_out.add(sampled.rejected)
        notes = [*earlier.notes, *choice.notes, *assigned.notes, *sampled.notes]
        if general is not None:
            members += _replayed(workspace, general, members, asked, prompts, spool, left_out)
            train = sum(1 for _, member in members if member.split == "train")
            drawn = sum(1 for item, _ in members if item.origin == "replay")
            notes += replay_notes(general, drawn, train, data.replay_share)
        _write(folder, spool, members)
    if asked.capture is not None:
        (folder / TOOLS_FILE).write_bytes(_lines.encode({asked.capture.agent: asked.capture.tools}))
    written = hashed_files(asked.capture is not None)
    files = {name: sha256(folder / name) for name in (*written, MEMBERS_FILE, LEAKAGE_FILE, REJECTED_FILE)}
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=whole_hash(files, written),
        seed=asked.seed,
        split=asked.shares,
        split_rule=assigned.rule,
        files=files,
        left_out=dict(sorted(left_out.reasons.items())),
        recipe=data,
        capture_hash=asked.capture.sha256 if asked.capture is not None else "",
        tables=made_with(workspace, asked.capture) | ({"replay": general.stamp} if general is not None else {}),
        previous=asked.earlier.version,
        suites=prompts.fingerprint(),
        leakage=assigned.leakage,
        notes=tuple(notes),
        **facts(members),
    )


def _gathered(
    workspace: Workspace,
    asked: Asked,
    prompts: Prompts,
    spool: Spool,
    left_out: LeftOut,
    progress: Progress | None,
) -> list[Candidate]:
    """Every row that may be in, waiting in the spool."""
    candidates: list[Candidate] = []
    for number, found in enumerate(select(workspace, asked.data, asked.capture, prompts.suite_like), start=1):
        if isinstance(found, Rejected):
            left_out.add([found])
        else:
            candidate, row = found
            candidates.append(msgspec.structs.replace(candidate, place=spool.put(row)))
        if progress is not None:
            progress(number, 0)
    return candidates


def _read(candidates: Sequence[Candidate], spool: Spool, progress: Progress | None) -> Iterator[Row]:
    for number, item in enumerate(candidates, start=1):
        yield spool.row(item.place)
        if progress is not None:
            progress(number, len(candidates))


def _sampled(candidates: Sequence[Candidate], assigned: Assigned, asked: Asked) -> tuple[list[Placed], Sampled]:
    """The rows as they stand in the splits: of train's some once more, some not at all."""
    train = [item for item, where in zip(candidates, assigned.placed, strict=True) if where == "train"]
    sampled = sample(train, asked.data, asked.seed)
    found: list[Placed] = []
    for item, where, group in zip(candidates, assigned.placed, assigned.groups, strict=True):
        if not where:
            continue
        member = Member(
            id=item.id, key=item.key, split=where, language=item.language, group=group, session=item.session
        )
        times = sampled.copies.get(item.id, 1) if where == "train" else 1
        found += [(item, msgspec.structs.replace(member, copy=copy) if copy else member) for copy in range(times)]
    return found, sampled


def _replayed(
    workspace: Workspace,
    general: Replay,
    members: Sequence[Placed],
    asked: Asked,
    prompts: Prompts,
    spool: Spool,
    left_out: LeftOut,
) -> list[Placed]:
    """General conversations for train, waiting in the spool."""
    there = {item.id for item, _ in members}

    def refuse(row: Row) -> str:
        suite = prompts.suite_like(row)
        if suite:
            return f"like a prompt of the suite {suite}"
        return "same content twice" if row.id in there else ""

    train = sum(1 for _, member in members if member.split == "train")
    number = wanted(train, asked.data.replay_share)
    found: list[Placed] = []
    for one in draw(general, number, asked.data, off=switched_off(workspace), refuse=refuse):
        if isinstance(one, Rejected):
            left_out.add([one])
            continue
        candidate, row = one
        candidate = msgspec.structs.replace(candidate, place=spool.put(row))
        member = Member(
            id=row.id, key=row.key, split="train", language=row.language, group=row.session, session=row.session
        )
        found.append((candidate, member))
    held_out = [item.place for item, member in members if member.split != "train"]
    close = repeating(held_out, [item.place for item, _ in found], spool.row)
    left_out.add(
        Rejected(item.id, 0, "replay: near-duplicate of a row held out", item.request, item.session)
        for item, _ in found
        if item.place in close
    )
    return [one for one in found if one[0].place not in close]


def _write(folder: Path, spool: Spool, members: Sequence[Placed]) -> None:
    """The split files, each in the order of the members, and members.jsonl in the order of the split files."""
    with (folder / MEMBERS_FILE).open("wb") as listed:
        for name in SPLITS:
            with (folder / f"{name}.jsonl").open("wb") as file:
                for item, member in members:
                    if member.split == name:
                        file.write(spool.line(item.place, member.copy))
                        listed.write(_lines.encode(member) + b"\n")


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
