"""A version made again from its manifest and members: every row from its example, in the place it had.

What was accepted, chosen and drawn stands in members.jsonl, so labels given since do not matter. What does: the
examples' content, edits of them, and the rules that shape rows.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.examples import ExampleRow
from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset import general, versions
from lora_tui.dataset.describe import hashed_files, made_with, sha256
from lora_tui.dataset.differences import Again, Told, in_words
from lora_tui.dataset.draft import draft
from lora_tui.dataset.general_rows import LANGUAGE
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
from lora_tui.dataset.safe_capture import without_secrets
from lora_tui.dataset.select import shaped
from lora_tui.dataset.spool import Spool
from lora_tui.dataset.stored import members
from lora_tui.sources.opencode.capture import Capture, load_capture
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

Progress = Callable[[int, int], None]

_PAGE = 200

_lines = msgspec.json.Encoder()


def rebuild(workspace: Workspace, dataset: Dataset, name: str, progress: Progress | None = None) -> Dataset:
    """The next version of `name`, with the bytes of `dataset`, which may lie in another workspace.

    Raises LoraTuiError, and leaves nothing, where a row cannot be made as it was; it names the examples and why.
    """

    def fill(folder: Path) -> Manifest:
        made = _made(workspace, dataset, folder, progress)
        if not made.identical:
            raise LoraTuiError(
                f"{dataset.label} cannot be made again: {in_words(made)}",
                where=str(dataset.folder),
                fix="Take in the sessions that are missing with the same release and rules, or build a version anew.",
            )
        manifest = dataset.manifest
        files = {file: manifest.files[file] for file in hashed_files(TOOLS_FILE in manifest.files)}
        for file in (MEMBERS_FILE, REJECTED_FILE, LEAKAGE_FILE):
            path = dataset.folder / file
            if path.is_file() and sha256(path) == manifest.files.get(file):
                shutil.copyfile(path, folder / file)
                files[file] = manifest.files[file]
        note = f"made again from {dataset.label}"
        return msgspec.structs.replace(manifest, created=time.time(), files=files, notes=(*manifest.notes, note))

    return versions.make(workspace, name, fill, dataset.manifest.profile)


def made_again(workspace: Workspace, dataset: Dataset, progress: Progress | None = None) -> Again:
    """Whether the version can be made again from this workspace; what is made for that is removed."""
    with draft(workspace.datasets / dataset.manifest.name) as making:
        return _made(workspace, dataset, making.folder, progress)


def _made(workspace: Workspace, dataset: Dataset, folder: Path, progress: Progress | None) -> Again:
    """Write the split files and the tools again; members are read from the version's folder, page by page."""
    manifest = dataset.manifest
    if manifest.imported:
        raise BadInput(
            f"{dataset.label} was not built from examples but read from {manifest.imported}",
            where=str(dataset.folder),
            fix="Import that file again.",
        )
    off = switched_off(workspace)
    data = manifest.recipe
    capture = without_secrets(load_capture(workspace, data.capture), off) if data.capture else None
    told = Told(workspace, manifest)
    with ExitStack() as open_files:
        spool = open_files.enter_context(Spool(folder))
        replayed = _replayed(workspace, dataset, spool, off)
        outputs = {name: open_files.enter_context((folder / f"{name}.jsonl").open("wb")) for name in SPLITS}
        before = _Before(dataset)
        again = _rows_again(workspace, dataset, capture, spool, replayed, told)
        for number, (member, row) in enumerate(again, start=1):
            was = before.line(member)
            if row is not None:
                line = _lines.encode(row) + b"\n"
                if was and line != was:
                    told.add(member, "different", _fields(row, was))
                outputs[member.split].write(line)
            if progress is not None:
                progress(number, sum(manifest.rows.values()))
    if capture is not None:
        (folder / TOOLS_FILE).write_bytes(_lines.encode({capture.agent: capture.tools}))
    covered = hashed_files(TOOLS_FILE in manifest.files)
    changed = tuple(
        name for name in covered if not (folder / name).is_file() or sha256(folder / name) != manifest.files.get(name)
    )
    now = made_with(workspace, capture)
    now |= {"capture": capture.sha256} if capture is not None else {}
    then = manifest.tables | ({"capture": manifest.capture_hash} if manifest.capture_hash else {})
    stamps = {name: (then.get(name, ""), now.get(name, "")) for name in sorted((then.keys() | now.keys()) - {"replay"})}
    return Again(
        identical=not changed,
        gone=told.counts["gone"],
        different=told.counts["different"],
        differences=tuple(told.differences),
        files=changed,
        rules={name: both for name, both in stamps.items() if both[0] != both[1]} if changed else {},
    )


class _Before:
    """The lines of the version's own split files, where those are whole."""

    def __init__(self, dataset: Dataset) -> None:
        damaged = set(versions.damaged_files(dataset))
        self._files = {
            name: (dataset.folder / f"{name}.jsonl").open("rb") for name in SPLITS if f"{name}.jsonl" not in damaged
        }

    def line(self, member: Member) -> bytes:
        """The line that the member is, in order; empty where it cannot be known."""
        file = self._files.get(member.split)
        return file.readline() if file is not None else b""


def _rows_again(
    workspace: Workspace,
    dataset: Dataset,
    capture: Capture | None,
    spool: Spool,
    replayed: Mapping[str, int],
    told: Told,
) -> Iterator[tuple[Member, Row | None]]:
    """Every member with its row; None where it cannot be made as it was, which is told."""
    last: tuple[str, Row] | None = None  # a repetition follows its row
    for page in _pages(members(dataset)):
        found = _examples(workspace, [member.key for member in page])
        for member in page:
            if last is not None and last[0] == member.id:
                row: Row | None = last[1]
            elif member.key in replayed:
                row = spool.row(replayed[member.key])
            else:
                row = _row_again(workspace, dataset, capture, member, found.get(member.key, []), told)
            last = (member.id, row) if row is not None else None
            if row is not None:
                row = msgspec.structs.replace(row, language=member.language, copy=member.copy)
            yield member, row


def _row_again(
    workspace: Workspace,
    dataset: Dataset,
    capture: Capture | None,
    member: Member,
    found: Sequence[ExampleRow],
    told: Told,
) -> Row | None:
    reason = ""
    for one in sorted(found, key=lambda item: (item.session != member.session, item.id)):
        made = shaped(workspace, one, dataset.manifest.recipe, capture)
        if isinstance(made, Rejected):
            reason = f"{made.reason}: {made.about}" if made.about else made.reason
        elif made[1].id == member.id:
            return made[1]
    if found:
        told.different(member, found, reason)
    else:
        told.gone(member)
    return None


def _pages(members: Iterator[Member]) -> Iterator[list[Member]]:
    while page := list(islice(members, _PAGE)):
        yield page


def _examples(workspace: Workspace, keys: Sequence[str]) -> dict[str, list[ExampleRow]]:
    """The examples with these contents."""
    marks = ",".join("?" * len(keys))
    query = f"SELECT id, key FROM example WHERE key IN ({marks})"
    of = dict(workspace.connection().execute(query, tuple(keys)).fetchall())
    found: dict[str, list[ExampleRow]] = {}
    for row in examples.rows(workspace, list(of)):
        found.setdefault(of[row.id], []).append(row)
    return found


def _replayed(workspace: Workspace, dataset: Dataset, spool: Spool, off: frozenset[str]) -> dict[str, int]:
    """Where the rows of the chat file wait, by key; its members are those in the language of such rows."""
    data, manifest = dataset.manifest.recipe, dataset.manifest
    keys = {member.key for member in members(dataset) if data.replay and member.language == LANGUAGE}
    if not keys:
        return {}
    path = general.look_through(data.replay, manifest.seed, (workspace.root,)).path
    found = {}
    for one in general.again(path, keys, data, off):
        if not isinstance(one, Rejected):
            candidate, row = one
            found[candidate.key] = spool.put(row)
    return found


def _fields(row: Row, was: bytes) -> str:
    """Which of a row's fields are not as they were."""
    other = msgspec.json.decode(was, type=Row)
    names = [name for name in Row.__struct_fields__ if getattr(row, name) != getattr(other, name)]
    return f"its {', '.join(names) or 'text'} {'is' if len(names) < 2 else 'are'} not as before"
