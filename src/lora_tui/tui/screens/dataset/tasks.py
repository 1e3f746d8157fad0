"""What takes a while on Dataset: making a version, taking one in, writing one out. Each can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from lora_tui.backends.counting import Cancelled
from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.shares import Shares
from lora_tui.tui.wording import many
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_TELL_EVERY = 50  # rows gone through between two words about it


class Ended(msgspec.Struct, frozen=True):
    """What to say of it, in the corner or where the advice stands, and the version that was made."""

    text: str = ""
    label: str = ""


class Work:
    """One task: how far it is, and whether anybody still wants it."""

    def __init__(self, what: str, do: Callable[[Work], Ended]) -> None:
        self.what = what
        self.do = do
        self.tell: Callable[[str], None] = lambda text: None
        self._stop = threading.Event()

    def stop(self) -> None:
        """End it at its next row; nothing of it is kept."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Nobody wants it any more."""
        return self._stop.is_set()

    def progress(self, done: int, total: int) -> None:
        """Called for every row. Raises Cancelled when it was stopped."""
        if self.stopped:
            raise Cancelled(f"{self.what}: stopped, nothing of it was kept")
        if done % _TELL_EVERY == 0:
            self.tell(f"{self.what}: {done:,} of {total:,}" if total else f"{self.what}: {done:,}")


def build(workspace: Workspace, name: str, shares: Shares, profile: Profile | None) -> Work:
    """The next version of `name` from the accepted examples."""

    def do(work: Work) -> Ended:
        made = versions.build(
            workspace,
            name,
            profile.data if profile is not None else versions.EVERYTHING,
            shares=shares,
            profile=profile.name if profile is not None else "",
            progress=work.progress,
        )
        return Ended(label=made.label)

    return Work(f"building {name}", do)


def import_(workspace: Workspace, path: Path, name: str, shares: Shares | None) -> Work:
    """A version of a file, or of a folder with a file per split."""

    def do(work: Work) -> Ended:
        from lora_tui.dataset.importing import import_ as take_in

        made = take_in(workspace, path, name, shares=shares, progress=work.progress)
        rows = made.dataset.manifest.rows
        told = ", ".join(f"{rows.get(split, 0):,} {split}" for split in SPLITS)
        bad = f"; {many(made.bad, 'line')} left out, l lists them" if made.bad else ""
        return Ended(f"{made.dataset.label}: {told}{bad}", made.dataset.label)

    return Work(f"importing {path.name}", do)


def export(dataset: Dataset, format: str, folder: Path, replace: bool) -> Work:
    """A version as files of another format; `replace` those that are there."""

    def do(work: Work) -> Ended:
        from lora_tui.dataset.exporting import export as write

        made = write(dataset, format, folder, force=replace, progress=work.progress)
        rows = sum(item.rows for item in made.files)
        left = f"; {many(len(made.left_out), 'row')} cannot be said so" if made.left_out else ""
        return Ended(f"{dataset.label} as {format}: {many(rows, 'row')} in {folder}{left}")

    return Work(f"exporting {dataset.label} as {format}", do)
