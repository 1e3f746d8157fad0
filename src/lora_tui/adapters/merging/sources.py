"""The adapters to merge, open: which modules they have, and what makes it impossible to merge them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import numpy as np

from lora_tui.adapters.peft_folder import CONFIG, PREFIX, WEIGHTS, PeftFolder
from lora_tui.adapters.tensor_files import Array
from lora_tui.jobs import merging
from lora_tui.workspace.errors import BadInput


class Shape(msgspec.Struct, frozen=True):
    """A module's weight, `rows` × `columns` (out × in), and the rank that each adapter has there; 0: it lacks it."""

    name: str
    rows: int
    columns: int
    ranks: tuple[int, ...]


class Sources(msgspec.Struct, frozen=True):
    """Open adapters in the order they were named, and the union of their modules in the order of the layers."""

    folders: tuple[PeftFolder, ...]
    identities: tuple[str, ...]
    modules: tuple[Shape, ...]
    notes: tuple[str, ...]  # what could not be compared

    @property
    def labels(self) -> tuple[str, ...]:
        """How people call them."""
        return tuple(folder.name for folder in self.folders)

    @property
    def rank(self) -> int:
        """The largest rank that one of them has anywhere."""
        return max(rank for shape in self.modules for rank in shape.ranks)


@contextmanager
def opened(sources: Sequence[merging.Source]) -> Iterator[Sources]:
    """Open and check them. Raises BadInput that names the adapter and the key where they cannot be merged."""
    if len(sources) < 2:
        raise BadInput("a merge takes two adapters or more", fix="Name them: lora-tui adapters merge A B --strategy …")
    with ExitStack() as stack:
        folders = tuple(stack.enter_context(PeftFolder(Path(item.folder), item.label)) for item in sources)
        for folder in folders:
            _refuse_more_than_lora(folder)
        notes = _same_base(folders)
        yield Sources(folders, tuple(item.identity for item in sources), _union(folders), tuple(notes))


def active(sources: Sources, recipe: merging.Recipe) -> tuple[Sources, merging.Recipe]:
    """Without the adapters whose weight is 0, which may then be a single one."""
    if not recipe.weights or all(recipe.weights):
        return sources, recipe
    kept = [index for index, weight in enumerate(recipe.weights) if weight]
    folders = tuple(sources.folders[index] for index in kept)
    left = Sources(folders, tuple(sources.identities[index] for index in kept), _union(folders), sources.notes)
    return left, msgspec.structs.replace(recipe, weights=tuple(recipe.weights[index] for index in kept))


def identity_of(folder: Path) -> str:
    """What names a folder's weights wherever they lie: their hash."""
    try:
        with (folder / WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read the weights: {error.strerror}", where=str(folder / WEIGHTS)) from error


def finite_factors(folder: PeftFolder, module: str) -> tuple[Array, Array]:
    """A (r × n) and B (m × r). Raises BadInput with the key where one holds a value that is no finite number."""
    found = folder.factors(module)
    for side, factor in zip("AB", found, strict=True):
        if not np.isfinite(factor).all():
            raise BadInput(
                f"{folder.name} cannot be merged: {PREFIX}{module}.lora_{side}.weight holds a value that is no finite "
                "number",
                where=str(folder.folder / WEIGHTS),
                fix="Its training went wrong, or the file is damaged: take another version.",
            )
    return found


def in_order(name: str) -> tuple[object, ...]:
    """Sorts modules by layer: numbers by value."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name))


def _refuse_more_than_lora(folder: PeftFolder) -> None:
    if said := folder.obstacles():
        fix = "Leave it out, or merge it into its base first."
        raise BadInput(f"{folder.name} cannot be merged: {said[0]}", where=str(folder.folder / CONFIG), fix=fix)
    if not folder.modules:
        raise BadInput(
            f"{folder.name} cannot be merged: it has no lora_A and lora_B", where=str(folder.folder / WEIGHTS)
        )
    for module in folder.modules.values():
        if module.r == 0:
            raise BadInput(
                f"{folder.name} cannot be merged: {module.name} has the rank 0", where=str(folder.folder / WEIGHTS)
            )


def _same_base(folders: Sequence[PeftFolder]) -> list[str]:
    """What could not be compared. Raises BadInput where two name different bases or revisions."""
    first = folders[0]
    notes = []
    for other in folders[1:]:
        for what, one, two in (("base", first.base, other.base), ("revision", first.revision, other.revision)):
            if one and two and not _is_same(one, two):
                raise BadInput(
                    f"{first.name} and {other.name} were made for different {what}s: {one} and {two}",
                    where=str(other.folder / CONFIG),
                    fix="Only adapters of one base can be merged.",
                )
            if bool(one) != bool(two):
                notes.append(f"{(other if one else first).name} names no {what}: taken to be {one or two}")
    return list(dict.fromkeys(notes))


def _is_same(one: str, two: str) -> bool:
    return one == two or (os.path.exists(one) and os.path.realpath(one) == os.path.realpath(two))


def _union(folders: Sequence[PeftFolder]) -> tuple[Shape, ...]:
    found = []
    for name in sorted({name for folder in folders for name in folder.modules}, key=in_order):
        owners = [(folder, folder.modules[name]) for folder in folders if name in folder.modules]
        first, module = owners[0]
        for other, theirs in owners[1:]:
            if (theirs.rows, theirs.columns) != (module.rows, module.columns):
                raise BadInput(
                    f"{name} is {module.rows} × {module.columns} in {first.name} and "
                    f"{theirs.rows} × {theirs.columns} in {other.name}",
                    where=str(other.folder / WEIGHTS),
                    fix="Only adapters of one base can be merged.",
                )
        ranks = tuple(folder.modules[name].r if name in folder.modules else 0 for folder in folders)
        found.append(Shape(name, module.rows, module.columns, ranks))
    return tuple(found)
