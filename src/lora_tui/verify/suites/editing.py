"""A suite that is being changed: its text, what it was before each change, and saving it where it belongs.

Every change is kept as a draft in the workspace until it is saved or given up, so an app that ends loses nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.verify.suites.reading import Reader
from lora_tui.verify.suites.suite import Suite, suite_paths
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_LONGEST = 100  # bytes of a name


class _Draft(msgspec.Struct):
    base: str  # the text of the file it began from; where that lies may be another place by now
    text: str


class Editing:
    """One suite under change. `text` is what would be saved."""

    def __init__(self, workspace: Workspace, path: Path) -> None:
        """Begin with the file at `path`, or with the draft that was left of it. Raises BadInput."""
        self.path = path
        self.name = path.stem
        self.own = path if path.is_relative_to(workspace.profiles) else workspace.profiles / "suites" / path.name
        self._draft = workspace.root / "drafts" / f"suite-{self.name}.json"
        self._base = self.text = _read(path)
        self._before: list[str] = []
        self.recovered = False  # whether a draft was found
        if self._draft.is_file():
            self._recover()

    def _recover(self) -> None:
        try:
            found = msgspec.json.decode(self._draft.read_bytes(), type=_Draft)
        except (OSError, msgspec.DecodeError) as error:
            raise BadInput(f"the draft cannot be read: {error}", where=str(self._draft), fix="Put it aside.") from error
        if found.text != self.text:
            self._before.append(self.text)
            self._base, self.text, self.recovered = found.base, found.text, True

    @property
    def changed(self) -> bool:
        """Whether something is not saved."""
        return self.text != self._base

    @property
    def steps(self) -> int:
        """How many changes can be taken back."""
        return len(self._before)

    def change(self, text: str) -> None:
        """Another text from now on; the draft on disk follows."""
        if text != self.text:
            self._before.append(self.text)
            self.text = text
            self._keep()

    def undo(self) -> None:
        """Take the last change back. Raises BadInput when there is none."""
        if not self._before:
            raise BadInput("there is nothing to take back")
        self.text = self._before.pop()
        self._keep()

    def read(self) -> tuple[Suite | None, list[BadInput]]:
        """The suite that would be saved, or everything that is wrong with it, with lines of what would be saved."""
        return Reader(self.own, text=self.text).read()

    def save(self) -> Suite:
        """Write it, a shipped suite as the person's own copy. Raises BadInput with what is wrong; the draft stays."""
        suite, problems = self.read()
        if suite is None:
            more = f" (and {len(problems) - 1} more: c tells them)" if len(problems) > 1 else ""
            raise BadInput(f"{problems[0].what}{more}", where=problems[0].where, fix="The changes are kept as a draft.")
        on_disk = _read(self.own) if self.own.is_file() else None
        if on_disk is not None and on_disk not in (self._base, self.text):
            raise BadInput(
                "another program changed the file meanwhile",
                where=str(self.own),
                fix="Move that file away and save again; the changes are kept as a draft.",
            )
        atomic.write_text(self.own, self.text)
        self.path, self._base = self.own, self.text
        self._draft.unlink(missing_ok=True)
        return suite

    def give_up(self) -> None:
        """Back to what is saved; the draft goes."""
        self.text = self._base
        self._before.clear()
        self._draft.unlink(missing_ok=True)

    def _keep(self) -> None:
        if not self.changed:
            self._draft.unlink(missing_ok=True)
            return
        atomic.write_text(self._draft, msgspec.json.encode(_Draft(self._base, self.text)).decode())


def place_of(workspace: Workspace, name: str) -> Path:
    """Where a new suite of the person's own belongs. Raises BadInput for a name that cannot be, or is taken.

    The name of a shipped suite is taken too: whoever asks that one would be asked another from then on.
    """
    plain = name.isprintable() and name == name.strip() and len(name.encode()) <= _LONGEST
    if name in ("", ".", "..") or set("/\\") & set(name) or not plain:
        raise BadInput(f"{name[:40]!r} is no name for a suite", fix="Give a plain name.")
    path = workspace.profiles / "suites" / f"{name}.yaml"
    known = suite_paths(workspace)
    if path.exists() or name in known:
        fix = "Give another name. To change that one: e under Verify; a shipped one is saved as your own copy."
        raise BadInput(f"there is a suite {name!r} already", where=str(known.get(name, path)), fix=fix)
    return path


def begin(workspace: Workspace, name: str, text: str) -> Path:
    """Write a new suite of the person's own. Raises BadInput as `place_of` does."""
    path = place_of(workspace, name)
    atomic.write_text(path, text)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the suite: {error}", where=str(path)) from error
