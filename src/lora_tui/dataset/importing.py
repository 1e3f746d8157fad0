"""Files made elsewhere, or exported from here, as a new version: what can be read is in it, the rest is listed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset import twins
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.describe import Placed, facts, hashed_files, sha256, tables, whole_hash
from lora_tui.dataset.draft import draft
from lora_tui.dataset.formats.formats import named
from lora_tui.dataset.incoming import Incoming, Problem, Reader, counted, files
from lora_tui.dataset.left_out import LeftOut
from lora_tui.dataset.model import (
    MEMBERS_FILE,
    REJECTED_FILE,
    SPLITS,
    TOOLS_FILE,
    Dataset,
    Leakage,
    Manifest,
    Member,
    Rejected,
)
from lora_tui.dataset.split import LEFT_OUT, Assigned, assign
from lora_tui.dataset.spool import Spool
from lora_tui.dataset.versions import MANIFEST, checked_name
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

Progress = Callable[[int, int], None]

AS_RECORDED = Data(tool_target="as-recorded", cap=0, context=0)  # nothing is shaped anew
_LISTED = 100  # problems told at once; rejected.jsonl lists all

_encoder = msgspec.json.Encoder()


class Imported(msgspec.Struct, frozen=True):
    """What became of the files. problems: the first of them."""

    dataset: Dataset
    formats: dict[str, int]
    edited: int
    bad: int
    problems: list[Problem]


class _Told(msgspec.Struct):
    """What is counted while the files are read."""

    formats: Counter[str]
    edited: int = 0
    problems: list[Problem] = []


def import_(
    workspace: Workspace,
    path: Path,
    name: str = "",
    *,
    format: str = "",
    shares: tuple[int, int, int] | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> Imported:
    """Make the next version of `name` (else: of the file's name) of a file, or of a folder with a file per split.

    format: the one it must be; else each row tells by its keys. shares: splits one file, what is alike together;
    without it all rows of one file are in train. Every text goes through the redaction of secrets. Raises BadInput
    when nothing of it is a row.
    """
    form = named(format) if format else None
    name = name or _name_of(path)
    checked_name(name)
    if shares is not None and (sum(shares) != 100 or min(shares) < 0):
        raise BadInput(f"the split {'/'.join(map(str, shares))} does not add up to 100")
    found = files(path)
    whole = len(found) == 1 and not found[0][0]
    if shares is not None and not whole:
        raise BadInput(
            "these files tell the splits already", where=str(path), fix="Leave out --split, or give one file."
        )
    reader = Reader(switched_off(workspace), form)
    told = _Told(Counter())
    with draft(workspace.datasets / name) as making:
        with (making.folder / REJECTED_FILE).open("wb") as file, Spool(making.folder) as spool:
            left_out = LeftOut(file)
            kept, splits = _taken(reader, found, spool, left_out, told, progress)
            if not kept:
                raise _nothing(path, told.problems)
            bad = sum(left_out.reasons.values())
            assigned = _assigned(kept, splits, spool, shares, seed, whole)
            members = _members(kept, assigned, left_out)
            _write(making.folder, spool, members)
        if reader.toolsets:
            (making.folder / TOOLS_FILE).write_bytes(_encoder.encode(reader.toolsets))
        manifest = _manifest(workspace, making.folder, members, bool(reader.toolsets))
        with making.numbered() as number:
            manifest = msgspec.structs.replace(
                manifest,
                name=name,
                version=number,
                seed=seed,
                split=shares or manifest.split,
                split_rule=assigned.rule,
                imported=path.name,
                left_out=counted(left_out.reasons),
                leakage=assigned.leakage,
                notes=(*assigned.notes, *_notes(told, bad)),
            )
            (making.folder / MANIFEST).write_text(toml.dump(manifest))
    dataset = Dataset(folder=workspace.datasets / name / str(number), manifest=manifest)
    return Imported(dataset, counted(told.formats), told.edited, bad, told.problems)


def _taken(
    reader: Reader,
    found: Sequence[tuple[str, Path]],
    spool: Spool,
    left_out: LeftOut,
    told: _Told,
    progress: Progress | None,
) -> tuple[list[Candidate], list[str]]:
    """Every row that is one, waiting in the spool, with its split; what is none goes to rejected.jsonl at once."""
    kept: list[Candidate] = []
    splits: list[str] = []
    seen: dict[tuple[str, int], str] = {}
    done = 0
    for where, path in found:
        for item in reader.rows(path):
            done += 1
            if progress is not None:
                progress(done, 0)
            if isinstance(item, Incoming):
                first = seen.setdefault((item.row.id, item.row.copy), item.where)
                if first == item.where:
                    told.formats[item.format] += 1
                    told.edited += item.edited
                    kept.append(_candidate(item, spool.put(item.row)))
                    splits.append(where)
                    continue
                item = Problem(item.where, f"the same row twice: also {first}")
            left_out.add([_rejected(item)])
            if len(told.problems) < _LISTED:
                told.problems.append(item)
    return kept, splits


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


def _assigned(
    kept: Sequence[Candidate],
    splits: Sequence[str],
    spool: Spool,
    shares: tuple[int, int, int] | None,
    seed: int,
    whole: bool,
) -> Assigned:
    """The split of each row: as the files have it, or drawn so that what is alike stays together."""
    if shares is not None:
        pairs = twins.pairs((spool.row(item.place) for item in kept), lambda number: spool.row(kept[number].place))
        return assign(kept, pairs, shares, seed)
    groups = [item.root for item in kept]
    if whole:
        notes = ("all rows are in train: nothing is held out to measure on",)
        return Assigned(["train"] * len(kept), groups, "all in train", notes, Leakage())
    return Assigned(list(splits), groups, "as the files had it", (), Leakage())


def _members(kept: Sequence[Candidate], assigned: Assigned, left_out: LeftOut) -> list[Placed]:
    members: list[Placed] = []
    for item, where, group in zip(kept, assigned.placed, assigned.groups, strict=True):
        if not where:
            left_out.add([Rejected(id=item.id, example=0, reason=LEFT_OUT, request="")])
            continue
        member = Member(
            id=item.id, key=item.key, split=where, language=item.language, group=group, session=item.session
        )
        members.append((item, member))
    return members


def _rejected(problem: Problem) -> Rejected:
    """The problem with a reason that is the same for all of its kind, so that they can be counted."""
    reason, _, details = problem.reason.partition(": ")
    about = f"{problem.where}: {details}" if details else problem.where
    return Rejected(id="", example=0, reason=reason, request="", about=about)


def _write(folder: Path, spool: Spool, members: Sequence[Placed]) -> None:
    """The split files in the order of the files that were read; members.jsonl in the same."""
    with (folder / MEMBERS_FILE).open("wb") as listed:
        for name in SPLITS:
            with (folder / f"{name}.jsonl").open("wb") as file:
                for item, member in members:
                    if member.split == name:
                        row = spool.row(item.place)
                        file.write(_encoder.encode(row) + b"\n")
                        listed.write(_encoder.encode(msgspec.structs.replace(member, copy=row.copy)) + b"\n")


def _manifest(workspace: Workspace, folder: Path, members: Sequence[Placed], tools: bool) -> Manifest:
    covered = hashed_files(tools)
    hashes = {name: sha256(folder / name) for name in (*covered, MEMBERS_FILE, REJECTED_FILE)}
    known = facts(members)
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=whole_hash(hashes, covered),
        seed=0,
        split=_percent([known["rows"][name] for name in SPLITS]),
        split_rule="",
        files=hashes,
        recipe=AS_RECORDED,
        tables={"redaction": tables(workspace)["redaction"]},
        **known,
    )


def _percent(rows: Sequence[int]) -> tuple[int, int, int]:
    """Shares that add up to 100, train taking what rounding leaves."""
    total = sum(rows)
    validation, test = (round(100 * number / total) for number in rows[1:])
    return 100 - validation - test, validation, test


def _notes(told: _Told, bad: int) -> tuple[str, ...]:
    notes = [f"{bad} lines of the files are no rows of it: rejected.jsonl lists them"] if bad else []
    notes += [f"{told.edited} rows were edited after they were exported"] if told.edited else []
    return tuple(notes)


def _name_of(path: Path) -> str:
    stem = path.name.split(".")[0] if path.is_file() else path.resolve().name
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
    if not name:
        raise BadInput("the file's name cannot name a dataset", where=str(path), fix="Give it one with --name.")
    return name


def _nothing(path: Path, problems: Sequence[Problem]) -> BadInput:
    first = f": {problems[0].where}: {problems[0].reason}" if problems else ""
    return BadInput(
        f"no row of it is a conversation{first}",
        where=str(path),
        fix="Known: messages, ShareGPT, ChatML text, Alpaca, prompt/completion; as JSONL, a JSON array or Parquet.",
    )
