"""Files made elsewhere, or exported from here, as a new version: what can be read is in it, the rest is listed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset.build import LeftOut, hashed_files, sha256, tables, whole_hash
from lora_tui.dataset.draft import draft
from lora_tui.dataset.formats.formats import named
from lora_tui.dataset.incoming import Incoming, Problem, Reader, counted, files
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
    Row,
)
from lora_tui.dataset.split import RULE, split
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


class _Kept(msgspec.Struct, frozen=True, gc=False):
    """What is known of a row that waits in the spool."""

    id: str
    key: str
    language: str
    source: str
    session: str
    copy: int
    split: str  # '' where the files do not tell
    place: int


class _Counts:
    def __init__(self) -> None:
        self.of: dict[str, Counter[str]] = {
            name: Counter() for name in ("model", "shape", "origin", "licence", "repository")
        }
        self.findings: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        self.edited = 0

    def add(self, found: Incoming) -> None:
        for name, counter in self.of.items():
            counter[getattr(found.row, name) or "unknown"] += 1
        self.findings.update(found.findings)
        self.formats[found.format] += 1
        self.edited += found.edited


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

    format: the one it must be; else each row tells by its keys. shares: splits one file, whole sessions together;
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
    counts = _Counts()
    with draft(workspace.datasets / name) as making:
        with (making.folder / REJECTED_FILE).open("wb") as file, Spool(making.folder) as spool:
            left_out = LeftOut(file)
            kept, problems = _taken(reader, found, spool, left_out, counts, progress)
            if not kept:
                raise _nothing(path, problems)
            members = _members(kept, shares, seed)
            _write(making.folder, spool, kept, members)
        if reader.toolsets:
            (making.folder / TOOLS_FILE).write_bytes(_encoder.encode(reader.toolsets))
        rule = _rule(whole, shares)
        manifest = _manifest(workspace, making.folder, kept, members, counts, bool(reader.toolsets))
        with making.numbered() as number:
            manifest = msgspec.structs.replace(
                manifest,
                name=name,
                version=number,
                seed=seed,
                split_rule=rule,
                imported=path.name,
                left_out=counted(left_out.reasons),
                notes=_notes(whole and shares is None, counts, sum(left_out.reasons.values())),
            )
            (making.folder / MANIFEST).write_text(toml.dump(manifest))
    dataset = Dataset(folder=workspace.datasets / name / str(number), manifest=manifest)
    bad = sum(left_out.reasons.values())
    return Imported(dataset, counted(counts.formats), counts.edited, bad, problems)


def _taken(
    reader: Reader,
    found: Sequence[tuple[str, Path]],
    spool: Spool,
    left_out: LeftOut,
    counts: _Counts,
    progress: Progress | None,
) -> tuple[list[_Kept], list[Problem]]:
    """Every row that is one, waiting in the spool; the others are written to rejected.jsonl as they come."""
    kept: list[_Kept] = []
    problems: list[Problem] = []
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
                    counts.add(item)
                    kept.append(_kept(item.row, where, spool.put(item.row)))
                    continue
                item = Problem(item.where, f"the same row twice: also {first}")
            left_out.add([_rejected(item)])
            if len(problems) < _LISTED:
                problems.append(item)
    return kept, problems


def _rejected(problem: Problem) -> Rejected:
    """The problem with a reason that is the same for all of its kind, so that they can be counted."""
    reason, _, details = problem.reason.partition(": ")
    about = f"{problem.where}: {details}" if details else problem.where
    return Rejected(id="", example=0, reason=reason, request="", about=about)


def _kept(row: Row, split: str, place: int) -> _Kept:
    return _Kept(row.id, row.key, row.language, row.source, row.session, row.copy, split, place)


def _members(kept: Sequence[_Kept], shares: tuple[int, int, int] | None, seed: int) -> list[Member]:
    groups = [row.session or row.id for row in kept]
    placed = split(groups, shares, seed) if shares is not None else [row.split or "train" for row in kept]
    return [
        Member(
            id=row.id,
            key=row.key,
            split=where,
            language=row.language,
            group=group,
            session=row.session,
            copy=row.copy,
        )
        for row, where, group in zip(kept, placed, groups, strict=True)
    ]


def _write(folder: Path, spool: Spool, kept: Sequence[_Kept], members: Sequence[Member]) -> None:
    with (folder / MEMBERS_FILE).open("wb") as listed:
        for name in SPLITS:
            with (folder / f"{name}.jsonl").open("wb") as file:
                for row, member in zip(kept, members, strict=True):
                    if member.split == name:
                        file.write(spool.line(row.place))
                        listed.write(_encoder.encode(member) + b"\n")


def _manifest(
    workspace: Workspace,
    folder: Path,
    kept: Sequence[_Kept],
    members: Sequence[Member],
    counts: _Counts,
    tools: bool,
) -> Manifest:
    covered = hashed_files(tools)
    hashes = {name: sha256(folder / name) for name in (*covered, MEMBERS_FILE, REJECTED_FILE)}
    per_split = Counter(member.split for member in members)
    cells = Counter((row.language, row.source, member.split) for row, member in zip(kept, members, strict=True))
    kinds = sorted({(language, source) for language, source, _ in cells})
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=whole_hash(hashes, covered),
        seed=0,
        split=_percent([per_split[name] for name in SPLITS]),
        split_rule="",
        rows={name: per_split[name] for name in SPLITS},
        files=hashes,
        recipe=AS_RECORDED,
        counts=tuple(Count(*kind, *(cells[*kind, where] for where in SPLITS)) for kind in kinds),
        by_model=counted(counts.of["model"]),
        by_shape=counted(counts.of["shape"]),
        by_origin=counted(counts.of["origin"]),
        by_licence=counted(counts.of["licence"]),
        by_repository=counted(counts.of["repository"]),
        findings=counted(counts.findings),
        tables={"redaction": tables(workspace)["redaction"]},
    )


def _percent(rows: Sequence[int]) -> tuple[int, int, int]:
    """Shares that add up to 100, train taking what rounding leaves."""
    total = sum(rows)
    validation, test = (round(100 * number / total) for number in rows[1:])
    return 100 - validation - test, validation, test


def _rule(whole: bool, shares: tuple[int, int, int] | None) -> str:
    if not whole:
        return "as the files had it"
    return RULE if shares is not None else "all in train"


def _notes(all_in_train: bool, counts: _Counts, bad: int) -> tuple[str, ...]:
    notes = ["all rows are in train: nothing is held out to measure on"] if all_in_train else []
    notes += [f"{bad} lines of the files are no rows of it: rejected.jsonl lists them"] if bad else []
    notes += [f"{counts.edited} rows were edited after they were exported"] if counts.edited else []
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
