"""Runs on another machine in a test: made without an engine, watched, killed, looked at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.ending import Process
from lora_tui.jobs.job import Box, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile
from ssh_servers import until

OWN = Box(provider="host", host="gpu")


def new_run(workspace: Workspace, folder: Path, box: Box = OWN, base_there: str = "") -> Run:
    """A run with a base and a dataset of a few bytes; `base_there`: a base that its worker fetches instead."""
    base, dataset = folder / "base", folder / "dataset"
    for place, name, content in ((base, "config.json", "{}"), (dataset, "train.jsonl", '{"messages": []}\n')):
        place.mkdir(exist_ok=True)
        (place / name).write_text(content)
    (base / "model.safetensors").write_bytes(os.urandom(1 << 20))
    job = Train(
        profile=Profile(name="small", model=Model(base="x")),
        base=base_there or str(base),
        dataset=str(dataset),
        elsewhere=box,
    )
    return supervisor.create(workspace, job, "small elsewhere")


def events(run: Run) -> list[journal.AnyEvent]:
    """The run's journal."""
    return journal.JournalReader(run.journal).read()


def follow_until(run: Run, holds: Callable[[RunView], bool], what: str, seconds: float = 60.0) -> RunView:
    """The run's view once it holds; the run must still work until then."""
    view = RunView(run)

    def now() -> bool:
        view.refresh()
        if holds(view):
            return True
        own = run.folder / "conductor.log"
        assert supervisor.is_alive(run), f"{view.failure} {own.read_text() if own.exists() else ''}"
        return False

    until(now, seconds, what)
    return view


def ended(run: Run, seconds: float = 60.0) -> RunView:
    """The run's view when its process has ended."""
    assert supervisor.wait(run, seconds), [str(event) for event in events(run)[-5:]]
    return RunView.of(run)


def kill(run: Run) -> None:
    """As `kill -9` of its process here."""
    os.kill(toml.load(run.folder / "process.toml", Process).pid, signal.SIGKILL)
    assert supervisor.wait(run, 10)


def mirrored_is_whole(run: Run, there: Path) -> None:
    """Nothing of the other machine's story is missing here, and nothing is here twice.

    Its last word may be said anew here: where this side was killed between giving the machine back and saying it.
    """
    story = [event for event in events(run) if event.origin or isinstance(event, journal.Finished)]
    lines = len((there / "journal.jsonl").read_text().splitlines())
    assert [event.origin for event in story[:-1]] == list(range(1, lines))
    assert isinstance(story[-1], journal.Finished)
    assert story[-1].origin in (0, lines)
    for name in ("stdout.log", "stderr.log"):
        assert (run.folder / name).read_bytes() == (there / name).read_bytes()
