"""Where the rows of earlier versions are: what was in test once is never trained on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.dataset.model import MEMBERS_FILE, SPLITS, Dataset
from lora_tui.dataset.stored import members, rows
from lora_tui.workspace.errors import BadInput


class Earlier(msgspec.Struct, frozen=True):
    """Ids and keys of the rows that earlier versions of a name had."""

    version: int = 0  # the newest; 0: there is none
    test: frozenset[str] = frozenset()  # of any version
    validation: frozenset[str] = frozenset()  # of the newest
    train: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def earlier(known: Sequence[Dataset]) -> Earlier:
    """What the versions of one name tell. One that cannot be read is told in the notes."""
    test: set[str] = set()
    last: dict[str, set[str]] = {}
    notes: list[str] = []
    newest = 0
    for dataset in sorted(known, key=lambda item: item.manifest.version):
        try:
            found = _marks(dataset)
        except BadInput as error:
            notes.append(f"{dataset.label} cannot be read ({error.what}): its test rows may be in train now")
            continue
        newest, last = dataset.manifest.version, found
        test |= found["test"]
    return Earlier(
        version=newest,
        test=frozenset(test),
        validation=frozenset(last.get("validation", set()) - test),
        train=frozenset(last.get("train", set()) - test),
        notes=tuple(notes),
    )


def _marks(dataset: Dataset) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in SPLITS}
    if (dataset.folder / MEMBERS_FILE).is_file():
        for member in members(dataset):
            if member.split in found:
                found[member.split] |= {member.id, member.key}
    else:
        for name in SPLITS:
            for row in rows(dataset, name):
                found[name] |= {row.id, row.key}
    return {name: marks - {""} for name, marks in found.items()}
