"""A dataset version as files of another format, each written whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from lora_tui.dataset.formats import line, together
from lora_tui.dataset.formats.format import Format
from lora_tui.dataset.formats.formats import FORMATS, named
from lora_tui.dataset.formats.table import Table
from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.stored import rows_with_tools
from lora_tui.dataset.versions import damaged_files
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError

Progress = Callable[[int, int], None]

_encoder = msgspec.json.Encoder()


class LeftOut(msgspec.Struct, frozen=True):
    """A row that the form asked for cannot say."""

    id: str
    split: str
    line: int
    reason: str


class Written(msgspec.Struct, frozen=True):
    """One file of an export."""

    path: str
    split: str
    rows: int
    bytes: int


class Export(msgspec.Struct, frozen=True):
    """What was written. repaired: what was said otherwise -> rows."""

    format: str
    files: list[Written]
    left_out: list[LeftOut]
    repaired: dict[str, int]


def export(
    dataset: Dataset,
    format: str,
    output: Path,
    *,
    split: str = "",
    for_together: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Write every split that has rows to <output>/<split>.<suffix>, or one split to the file `output`.

    All files are in place at the end, or none. Raises BadInput for a damaged version, an unknown format or split, and
    a file that is there already (unless force).
    """
    form = named(format)
    if for_together and form is not FORMATS["messages"]:
        raise BadInput(f"Together takes messages, not {format}", fix="Use --format messages.")
    if damaged := damaged_files(dataset):
        raise BadInput(
            f"{dataset.label} is damaged: {', '.join(damaged)}",
            where=str(dataset.folder),
            fix="Its files are no longer what the manifest says: build it again.",
        )
    places = _places(dataset, form, output, split)
    taken = [str(path) for path in places.values() if path.exists()]
    if taken and not force:
        raise BadInput("there is a file already", where=taken[0], fix="Give another --output, or --force.")
    writer = _Writer(dataset, form, for_together, progress)
    with ExitStack() as files:
        for name, path in places.items():
            atomic.sweep(path)
            writer.write(name, path, files.enter_context(atomic.writing(path)))
        if not any(item.rows for item in writer.files):
            raise BadInput(f"no row of {dataset.label} can be said so", fix=_most(writer.left_out))
    if force and not split:
        _remove_others(output, form, places)
    return Export(form.name, writer.files, writer.left_out, dict(writer.repaired))


class _Writer:
    """Writes splits one after the other and counts."""

    def __init__(self, dataset: Dataset, format: Format, for_together: bool, progress: Progress | None) -> None:
        self.files: list[Written] = []
        self.left_out: list[LeftOut] = []
        self.repaired: Counter[str] = Counter()
        self._dataset, self._format, self._together = dataset, format, for_together
        self._progress = progress
        self._total = sum(dataset.manifest.rows.values())
        self._done = 0

    def write(self, split: str, path: Path, file: BinaryIO) -> None:
        written = 0
        match self._format.container:
            case "table":
                with Table(file, str(path)) as table:
                    for text in self._lines(split):
                        table.write(text)
                        written += 1
            case "array":
                for text in self._lines(split):
                    file.write((b",\n" if written else b"[\n") + text)
                    written += 1
                file.write(b"\n]\n" if written else b"[]\n")
            case "lines":
                for text in self._lines(split):
                    file.write(text + b"\n")
                    written += 1
        file.flush()
        self.files.append(Written(str(path), split, written, os.fstat(file.fileno()).st_size))

    def _lines(self, split: str) -> Iterator[bytes]:
        for number, row in enumerate(rows_with_tools(self._dataset, split), start=1):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
            if not self._together:
                yield line.write(row, self._format)
                continue
            try:
                taken = together.taken(row)
            except together.Unfit as error:
                self.left_out.append(LeftOut(row.id, split, number, str(error)))
                continue
            self.repaired.update(taken.repairs)
            yield _encoder.encode(taken.data)


def _places(dataset: Dataset, format: Format, output: Path, split: str) -> dict[str, Path]:
    """Where each split goes. Raises BadInput."""
    there = [name for name in SPLITS if dataset.manifest.rows.get(name)]
    if split:
        if split not in SPLITS:
            raise BadInput(f"there is no split {split!r}", fix=f"Known: {', '.join(SPLITS)}.")
        if split not in there:
            raise BadInput(f"{dataset.label} has no {split} rows", fix=f"It has {', '.join(there) or 'no rows'}.")
        return {split: output / f"{split}{format.suffix}" if output.is_dir() else output}
    if output.exists() and not output.is_dir():
        raise BadInput("this is a file", where=str(output), fix="Give a folder, or one split with --split.")
    if not there:
        raise BadInput(f"{dataset.label} has no rows")
    return {name: output / f"{name}{format.suffix}" for name in there}


def _remove_others(output: Path, format: Format, places: dict[str, Path]) -> None:
    """A split that has no rows now must not stay there from an earlier export."""
    for name in SPLITS:
        if name not in places:
            try:
                (output / f"{name}{format.suffix}").unlink(missing_ok=True)
            except OSError as error:
                raise LoraTuiError(f"cannot be removed: {error.strerror}", where=str(output)) from error


def _most(left_out: list[LeftOut]) -> str:
    reasons = Counter(item.reason for item in left_out).most_common(1)
    return f"Most often: {reasons[0][0]} ({reasons[0][1]} rows)." if reasons else ""
