"""What the keys of the editor do to the text of a suite. Each is one step that u takes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_tui.verify.suites import edits as suite_edits
from lora_tui.verify.suites.editing import Editing
from lora_tui.verify.suites.outline import Entry, Wanted, outline
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_KEYS = ("type", "value", "threshold", "weight")


class Changes:
    """The suite under change as an outline, and its changes. Those that cannot be made raise BadInput."""

    def __init__(self, editing: Editing) -> None:
        self._editing = editing
        self.read()

    def read(self) -> None:
        """Look at the text again."""
        self.outline = outline(self._editing.text)

    def _now(self, text: str) -> None:
        self._editing.change(text)
        self.read()

    def fill(self, entry: Entry, filled: Mapping[tuple[str, ...], Any]) -> None:
        """Put what was typed into a prompt."""
        text = self._editing.text
        had: dict[tuple[str, ...], Any] = {("description",): entry.description, ("threshold",): entry.threshold}
        had |= {("metadata", "language"): entry.language or None}
        had |= {("vars", name): value for name, value in entry.vars.items()}
        written = suite_edits.plain(text)
        for key in entry.path:
            written = written[key]
        for path, value in filled.items():
            if value == had.get(path):
                continue
            if value is not None:
                text = suite_edits.put(text, (*entry.path, *path), value)
            elif len(path) == 1 and path[0] in written:
                text = suite_edits.remove(text, (*entry.path, *path))
            elif path[0] in written and path[-1] in (written[path[0]] or {}):
                alone = len(written[path[0]]) == 1
                text = suite_edits.remove(text, (*entry.path, *(path[:1] if alone else path)))
        self._now(text)

    def begin(self, filled: Mapping[tuple[str, ...], Any]) -> None:
        """Add a prompt at the end of the tests of this file."""
        test: dict[str, Any] = {}
        for path, value in filled.items():
            if value is not None:
                inner = test
                for key in path[:-1]:
                    inner = inner.setdefault(key, {})
                inner[path[-1]] = value
        count = sum(entry.path[0] == "tests" and len(entry.path) > 1 for entry in self.outline.entries)
        self._now(suite_edits.insert(self._editing.text, ("tests",), count, {**test, "assert": []}))

    def add(self, entry: Entry, data: Mapping[str, Any]) -> None:
        """Add an expectation to a prompt."""
        value = {key: data[key] for key in _KEYS if data[key] is not None}
        self._now(suite_edits.insert(self._editing.text, (*entry.path, "assert"), len(entry.wanted), value))

    def change(self, wanted: Wanted, data: Mapping[str, Any]) -> None:
        """Change what differs of an expectation, and leave the rest of it alone."""
        text = self._editing.text
        for key in _KEYS:
            before, after = wanted.data.get(key), data[key]
            if after is not None and (after != before or type(after) is not type(before)):
                text = suite_edits.put(text, (*wanted.path, key), after)
            elif after is None and before is not None:
                text = suite_edits.remove(text, (*wanted.path, key))
        self._now(text)

    def copy(self, path: suite_edits.Path) -> None:
        """Put a copy of a prompt or expectation behind it."""
        self._now(suite_edits.copy(self._editing.text, path))

    def remove(self, path: suite_edits.Path) -> None:
        """Take a prompt or expectation out."""
        self._now(suite_edits.remove(self._editing.text, path))

    def handed_over(self, workspace: Workspace) -> Path:
        """The file that an editor gets."""
        return workspace.root / "drafts" / f"suite-{self._editing.name}.yaml"

    def is_left(self, path: Path) -> bool:
        """Whether an editor left another text there: it could not be taken back, or the app ended meanwhile."""
        return path.is_file() and path.read_bytes() != self._editing.text.encode()

    def hand_over(self, path: Path, *, anew: bool) -> None:
        """Write the text for an editor; not `anew`: it goes on with what lies there, if anything does."""
        if anew or not path.exists():
            atomic.write_text(path, self._editing.text)

    def withdraw(self, path: Path) -> None:
        """The editor did not run: its file goes, unless it holds what is nowhere else."""
        if path.read_bytes() == self._editing.text.encode():
            path.unlink()

    def take_back(self, path: Path) -> None:
        """What the editor left, as one change; it goes only when that is done."""
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"what the editor left cannot be read: {error}", where=str(path)) from error
        outline(text)
        self._now(text)
        path.unlink(missing_ok=True)
