"""Where the rows of earlier versions are: what was in test once is never trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from lora_tui.dataset.model import MEMBERS_FILE, SPLITS, Member, Row
from lora_tui.dataset.stored import lines
from lora_tui.workspace.errors import BadInput

_rows = msgspec.json.Decoder(Row)
_members = msgspec.json.Decoder(Member)


class Earlier(msgspec.Struct, frozen=True):
    """Ids and keys of the rows that earlier versions of a name had."""

    version: int = 0  # the newest; 0: there is none
    test: frozenset[str] = frozenset()  # of any version
    validation: frozenset[str] = frozenset()  # of the newest
    train: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def earlier(versions: Path) -> Earlier:
    """What the versions of one name tell, given the folder that holds them.

    Whether a manifest can be read does not matter. A version whose rows cannot be read is told in the notes.
    """
    test: set[str] = set()
    last: dict[str, set[str]] = {}
    notes: list[str] = []
    newest = 0
    for number in sorted(int(path.name) for path in versions.glob("*") if path.name.isdigit()):
        try:
            found = _marks(versions / str(number))
        except BadInput as error:
            label = f"{versions.name}@{number}"
            notes.append(f"{label} cannot be read ({error.what}): its test rows may be in train now")
            continue
        newest, last = number, found
        test |= found["test"]
    return Earlier(
        version=newest,
        test=frozenset(test),
        validation=frozenset(last.get("validation", set()) - test),
        train=frozenset(last.get("train", set()) - test),
        notes=tuple(notes),
    )


def _marks(folder: Path) -> dict[str, set[str]]:
    """Ids and keys by split, from the members, else from the rows themselves. Raises BadInput."""
    try:
        return _of((member.split, member) for member in lines(folder / MEMBERS_FILE, _members, "a member"))
    except BadInput:
        return _of((name, row) for name in SPLITS for row in lines(folder / f"{name}.jsonl", _rows, "a row"))


def _of(told: Iterable[tuple[str, Member | Row]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in SPLITS}
    for split, item in told:
        if split in found:
            found[split] |= {item.id, item.key}
    return {name: marks - {""} for name, marks in found.items()}
