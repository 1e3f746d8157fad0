"""What is not as it was when a version is made again, and why, as far as the workspace can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from lora_tui.curation.examples import ExampleRow
from lora_tui.dataset.model import Manifest, Member
from lora_tui.workspace.layout import Workspace

TOLD = 100  # differences that are told one by one
_SHOWN = 5  # of them, in an error


class Difference(msgspec.Struct, frozen=True):
    """A row that could not be made again as it was."""

    id: str
    key: str  # of its example
    split: str
    what: Literal["gone", "different"]
    why: str


class Again(msgspec.Struct, frozen=True):
    """How making it again went."""

    identical: bool  # every file that the version's hash covers has the same bytes
    gone: int  # rows without their example
    different: int
    differences: tuple[Difference, ...]  # the first TOLD
    files: tuple[str, ...]  # that came out differently
    rules: dict[str, tuple[str, str]]  # what rows are made with, then and now, where that is not the same


def in_words(made: Again) -> str:
    """What is not as it was, in one line."""
    parts = []
    if made.gone:
        parts.append(f"{made.gone:,} {_rows(made.gone)} without an example")
    if made.different:
        parts.append(f"{made.different:,} {_rows(made.different)} came out differently")
    if not parts:
        parts.append(f"{', '.join(made.files)} came out differently")
    parts += [f"{item.id[:12]} of {item.split}: {item.why}" for item in made.differences[:_SHOWN]]
    parts += [f"{name}: {then or 'nothing'} then, {now or 'nothing'} now" for name, (then, now) in made.rules.items()]
    return "; ".join(parts)


def _rows(number: int) -> str:
    return "row" if number == 1 else "rows"


class Told:
    """The differences so far."""

    def __init__(self, workspace: Workspace, manifest: Manifest) -> None:
        self._workspace = workspace
        self._manifest = manifest
        self.counts = {"gone": 0, "different": 0}
        self.differences: list[Difference] = []

    def add(self, member: Member, what: Literal["gone", "different"], why: str) -> None:
        """Count it, and keep it where it is among the first."""
        self.counts[what] += 1
        if len(self.differences) < TOLD:
            self.differences.append(Difference(member.id, member.key, member.split, what, why))

    def gone(self, member: Member) -> None:
        """The member's example is not there."""
        query = "SELECT count(*) FROM session WHERE native_id = ?"
        (there,) = self._workspace.connection().execute(query, (member.session,)).fetchone()
        session = member.session or "unknown"
        told = f"its session {session} is here, with another content" if there else f"its session {session} is not here"
        self.add(member, "gone", told)

    def different(self, member: Member, found: Sequence[ExampleRow], reason: str) -> None:
        """The member's example is there and becomes another row, or none."""
        marks = ",".join("?" * len(found))
        query = f"SELECT count(*) FROM label WHERE example_id IN ({marks}) AND action IN ('edit', 'undo') AND at > ?"
        values = (*(row.id for row in found), int(self._manifest.created * 1000))
        (edited,) = self._workspace.connection().execute(query, values).fetchone()
        name = f"example {found[0].id}"
        if edited:
            why = f"{name} was edited since"
        elif reason:
            why = f"{name} can be no row any more: {reason}"
        else:
            why = f"{name} becomes another row now: other rules, or other requests before it in its session"
        self.add(member, "different", why)
