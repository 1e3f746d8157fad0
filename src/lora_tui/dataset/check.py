"""Whether a version on disk is what was built: its files, each of their lines, and what stands beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.describe import hashed_files, sha256, whole_hash
from lora_tui.dataset.model import (
    LEAKAGE_FILE,
    MEMBERS_FILE,
    REJECTED_FILE,
    SPLITS,
    TOOLS_FILE,
    Dataset,
    Member,
    Pair,
    Rejected,
    Row,
)

_kinds: dict[str, Any] = {
    **{f"{name}.jsonl": msgspec.json.Decoder(Row) for name in SPLITS},
    MEMBERS_FILE: msgspec.json.Decoder(Member),
    REJECTED_FILE: msgspec.json.Decoder(Rejected),
    LEAKAGE_FILE: msgspec.json.Decoder(Pair),
}


class Trouble(msgspec.Struct, frozen=True):
    """Something that is not as it was built."""

    file: str
    what: str
    line: int = 0  # from 1; 0: the file as a whole


def troubles(dataset: Dataset) -> Iterator[Trouble]:
    """Everything about a version that is not as it was built, file by file; nothing for one that is whole.

    Memory: some sixty bytes per row.
    """
    yield from _files(dataset)
    listed = MEMBERS_FILE in dataset.manifest.files
    tools = _toolsets(dataset.folder)
    seen: set[bytes] = set()
    for split in SPLITS:
        file, rows = f"{split}.jsonl", 0
        members = _members(dataset.folder, split)
        agreed = listed
        for rows, row in enumerate(_lines(dataset.folder, file), start=1):
            if isinstance(row, Trouble):
                yield row
                next(members, None)
                continue
            mark = hashlib.blake2b(f"{row.id}\0{row.copy}".encode(), digest_size=16).digest()
            if mark in seen:
                yield Trouble(file, f"row {row.id} stands there twice", rows)
            seen.add(mark)
            if row.toolset and row.toolset not in tools:
                yield Trouble(file, f"row {row.id} has the tools of {row.toolset}, which {TOOLS_FILE} lacks", rows)
            if agreed:
                member = next(members, None)
                agreed = member is not None and _is(member, row)
                if not agreed:  # what follows is off by this one
                    said = f"{member.id} is" if member is not None else "nothing is"
                    yield Trouble(file, f"row {row.id} stands where by {MEMBERS_FILE} {said}", rows)
        known = dataset.manifest.rows.get(split, 0)
        if rows != known:
            yield Trouble(file, f"{rows:,} rows, and the manifest says {known:,}")
        if agreed and (over := sum(1 for _ in members)):
            yield Trouble(MEMBERS_FILE, f"{over:,} rows of {split} that {file} lacks")
    if listed:
        yield from (item for item in _lines(dataset.folder, MEMBERS_FILE) if isinstance(item, Trouble))
        yield from _groups(dataset.folder)
    for file in (REJECTED_FILE, LEAKAGE_FILE):
        if file in dataset.manifest.files:
            yield from (item for item in _lines(dataset.folder, file) if isinstance(item, Trouble))


def _files(dataset: Dataset) -> Iterator[Trouble]:
    known = dataset.manifest.files
    there = {path.name for path in dataset.folder.iterdir() if not path.name.startswith(".")}
    for name in sorted(there - known.keys() - {"manifest.toml"}):
        yield Trouble(name, "is no file of this version")
    if dataset.folder.name.isdigit() and int(dataset.folder.name) != dataset.manifest.version:
        yield Trouble("manifest.toml", f"is that of {dataset.label}, and this is folder {dataset.folder.name}")
    for name, expected in known.items():
        path = dataset.folder / name
        if not path.is_file():
            yield Trouble(name, "is gone")
        elif sha256(path) != expected:
            yield Trouble(name, "was changed: its hash is another")
    covered = hashed_files(TOOLS_FILE in known)
    if any(name not in known for name in covered):
        yield Trouble("manifest.toml", "does not name every split file")
    elif whole_hash(known, covered) != dataset.manifest.hash:
        yield Trouble("manifest.toml", "was changed: the version's hash is not that of its files")


def _lines(folder: Path, name: str) -> Iterator[Any]:
    """Each line decoded, or the trouble with it; nothing where the file is gone, which is said already."""
    try:
        with (folder / name).open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield _kinds[name].decode(line)
                except msgspec.DecodeError as error:
                    yield Trouble(name, f"cannot be read: {error}", number)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Trouble(name, f"cannot be read: {error.strerror}")


def _toolsets(folder: Path) -> set[str]:
    try:
        return set(msgspec.json.decode((folder / TOOLS_FILE).read_bytes(), type=dict[str, Any]))
    except (OSError, msgspec.DecodeError):
        return set()


def _members(folder: Path, split: str) -> Iterator[Member]:
    for member in _lines(folder, MEMBERS_FILE):
        if isinstance(member, Member) and member.split == split:
            yield member


def _is(member: Member, row: Row) -> bool:
    return (member.id, member.key, member.copy, member.language) == (row.id, row.key, row.copy, row.language)


def _groups(folder: Path) -> Iterator[Trouble]:
    """Groups with rows in two splits: what they share leaks from one into the other."""
    where: dict[bytes, str] = {}
    told: set[bytes] = set()
    for number, member in enumerate(_lines(folder, MEMBERS_FILE), start=1):
        if isinstance(member, Trouble) or not member.group:
            continue
        mark = hashlib.blake2b(member.group.encode(), digest_size=16).digest()
        first = where.setdefault(mark, member.split)
        if first != member.split and mark not in told:
            told.add(mark)
            yield Trouble(MEMBERS_FILE, f"rows of {member.group} are in {first} and in {member.split}", number)
