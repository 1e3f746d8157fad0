"""Files made elsewhere, or exported from here, as a new version: what can be read is in it, the rest is listed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.contamination import Prompts
from lora_tui.dataset.describe import Placed, facts, hashed_files, sha256, tables, whole_hash
from lora_tui.dataset.draft import draft
from lora_tui.dataset.earlier_versions import Earlier, earlier
from lora_tui.dataset.formats.formats import named
from lora_tui.dataset.incoming import Problem, Reader, counted, files
from lora_tui.dataset.incoming_splits import Split, as_told, drawn
from lora_tui.dataset.leakage import write_pairs
from lora_tui.dataset.left_out import LeftOut
from lora_tui.dataset.model import (
    LEAKAGE_FILE,
    MEMBERS_FILE,
    REJECTED_FILE,
    SPLITS,
    TOOLS_FILE,
    Dataset,
    Manifest,
    Member,
    Rejected,
    Row,
)
from lora_tui.dataset.split import LEFT_OUT, Assigned
from lora_tui.dataset.spool import Spool
from lora_tui.dataset.taken import Kept, Told, taken
from lora_tui.dataset.versions import MANIFEST, checked_name
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

Progress = Callable[[int, int], None]

AS_RECORDED = Data(tool_target="as-recorded", cap=0, context=0)  # nothing is shaped anew

_encoder = msgspec.json.Encoder()


class Imported(msgspec.Struct, frozen=True):
    """What became of the files. problems: the first of them."""

    dataset: Dataset
    formats: dict[str, int]
    edited: int
    bad: int
    problems: list[Problem]


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
    without it all rows of one file are in train. Every text goes through the redaction of secrets. As in a build, what
    a suite asks is left out, and leakage.jsonl names the near-duplicates. Raises BadInput when nothing of it is a row.
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
    told = Told(Counter())
    with draft(workspace.datasets / name) as making:
        with (making.folder / REJECTED_FILE).open("wb") as file, Spool(making.folder) as spool:
            left_out = LeftOut(file)
            prompts = Prompts.of(workspace)
            kept = taken(reader, found, spool, prompts, left_out, told, progress)
            if not kept:
                raise _nothing(path, told)
            before = earlier(workspace.datasets / name)
            made = _split(kept, spool, shares, seed, before, progress)
            assigned = made.assigned
            left_out.add(made.rejected)
            write_pairs(making.folder, made.rows, made.pairs, assigned.placed)
            members = _members(made.rows, assigned, left_out)
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
                previous=before.version,
                suites=prompts.fingerprint(),
                leakage=assigned.leakage,
                notes=(*before.notes, *assigned.notes, *_notes(told)),
            )
            (making.folder / MANIFEST).write_text(toml.dump(manifest))
    dataset = Dataset(folder=workspace.datasets / name / str(number), manifest=manifest)
    return Imported(dataset, counted(told.formats), told.edited, told.bad, told.problems)


def _split(
    kept: Sequence[Kept],
    spool: Spool,
    shares: tuple[int, int, int] | None,
    seed: int,
    before: Earlier,
    progress: Progress | None,
) -> Split:
    """The split of each row: as the files have it, or drawn so that what is alike stays together."""
    items = [one.item for one in kept]

    def read(place: int) -> Row:
        if progress is not None:  # looking for near-duplicates can be stopped too
            progress(place + 1, len(items))
        return spool.row(items[place].place)

    if shares is not None:
        return drawn(items, read, shares, seed, before)
    return as_told(items, [one.split for one in kept], [one.copy for one in kept], read, seed, before)


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
    hashes = {name: sha256(folder / name) for name in (*covered, MEMBERS_FILE, LEAKAGE_FILE, REJECTED_FILE)}
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


def _notes(told: Told) -> tuple[str, ...]:
    notes = [f"{told.bad} lines of the files are no rows of it: rejected.jsonl lists them"] if told.bad else []
    if told.like_suites:
        notes.append(
            f"{told.like_suites} rows are left out: they are like what a suite asks; rejected.jsonl lists them"
        )
    notes += [f"{told.edited} rows were edited after they were exported"] if told.edited else []
    return tuple(notes)


def _name_of(path: Path) -> str:
    stem = path.name.split(".")[0] if path.is_file() else path.resolve().name
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
    if not name:
        raise BadInput("the file's name cannot name a dataset", where=str(path), fix="Give it one with --name.")
    return name


def _nothing(path: Path, told: Told) -> BadInput:
    problems = told.problems
    if told.like_suites and not problems:
        return BadInput(
            "every row of it is like what a suite asks",
            where=str(path),
            fix="A model that learned them would prove nothing there: import other rows, or take the suite away.",
        )
    first = f": {problems[0].where}: {problems[0].reason}" if problems else ""
    return BadInput(
        f"no row of it is a conversation{first}",
        where=str(path),
        fix="Known: messages, ShareGPT, ChatML text, Alpaca, prompt/completion; as JSONL, a JSON array or Parquet.",
    )
