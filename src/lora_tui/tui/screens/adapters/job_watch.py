"""The merges and exports that work: how far each is, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Export, Merge, load_job
from lora_tui.jobs.journal import Failed, Finished
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class Standing(msgspec.Struct, frozen=True):
    """One job at a moment. `ended`: it works no more, and `text` says what came of it."""

    id: str
    text: str
    ended: bool = False
    failed: bool = False
    label: str = ""  # the version that was made


class JobWatch:
    """Follows them; each is told of until it has ended, and once more then. Used by one thread at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._views: dict[str, RunView] = {}
        self._known: set[str] = set()  # runs that are not followed: other jobs, and those that ended before
        self._begun = False

    def look(self) -> tuple[Standing, ...]:
        """How they stand, the newest first."""
        self._find()
        found = []
        for identity, view in sorted(self._views.items(), reverse=True):
            view.refresh()
            found.append(_standing(view))
            if view.state not in ("running", "new"):
                del self._views[identity]
                self._known.add(identity)
        return tuple(found)

    def stop(self, identities: Sequence[str]) -> None:
        """Ask these to stop; nothing half is left."""
        for identity in identities:
            if identity in self._views:
                supervisor.stop(self._views[identity].run)

    def _find(self) -> None:
        try:
            present = {path.name for path in self._workspace.runs.iterdir()}
        except FileNotFoundError:
            return
        for name in present - self._known - self._views.keys():
            folder = self._workspace.runs / name
            try:
                run = Run(folder=folder, file=load_job(folder / "job.toml"))
            except LoraTuiError:
                continue  # in the making: the next look finds it whole
            if isinstance(run.file.job, Merge | Export) and (self._begun or supervisor.is_alive(run)):
                self._views[name] = RunView(run)
            else:
                self._known.add(name)
        self._begun = True


def _standing(view: RunView) -> Standing:
    identity, title = view.run.id, view.run.file.title
    doing = "merging" if isinstance(view.run.file.job, Merge) else "exporting"
    if view.state in ("running", "new"):
        at = view.progress
        far = f": {at.stage} {at.done:,} of {at.total:,}" if at is not None and at.total else ""
        return Standing(identity, f"{doing} {title}{far}")
    match view.last_word:
        case Finished() as word:
            is_version = isinstance(view.run.file.job, Merge) and "@" in word.output
            text = f"✓ {word.output}: {title}" if is_version else f"✓ {title}, in {word.output or 'Ollama'}"
            return Standing(identity, text, ended=True, label=word.output if is_version else "")
        case Failed() as word:
            return Standing(identity, f"{title}: {word.reason}. {word.fix}".strip(), ended=True, failed=True)
    return Standing(identity, f"{title} was {view.state}; nothing half is left", ended=True)
