"""Starting, watching and stopping jobs. A job outlives the terminal it was started from.

A run's state is derived, never stored: from its journal's last word and from whether its process lives.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from lora_tui.jobs import journal
from lora_tui.jobs.job import Audit, Job, JobFile, TinyBase, Train, Verify, load_job
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

State = Literal["new", "running", "stopped", "finished", "failed"]

_MODULES: dict[type[Job], str] = {
    Train: "lora_tui.worker",
    Audit: "lora_tui.worker",
    TinyBase: "lora_tui.worker",
    Verify: "lora_tui.verify",
}


class Process(msgspec.Struct, frozen=True):
    """process.toml: which process works on the run; its start time tells it from a later one with the same pid."""

    pid: int
    started: float


class Run(msgspec.Struct, frozen=True):
    """One run folder."""

    folder: Path
    file: JobFile

    @property
    def id(self) -> str:
        """The run's name, also its folder's."""
        return self.file.id

    @property
    def journal(self) -> Path:
        """Its journal file."""
        return self.folder / "journal.jsonl"


def create(workspace: Workspace, job: Job, title: str) -> Run:
    """A new run folder with its job.toml; nothing is started."""
    workspace.ensure()
    kind = str(job.__struct_config__.tag)
    identity = f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}-{secrets.token_hex(2)}"
    file = JobFile(id=identity, title=title, created=time.time(), workspace=str(workspace.root), job=job)
    folder = workspace.runs / identity
    folder.mkdir(parents=True)
    atomic.write_text(folder / "job.toml", toml.dump(file))
    return Run(folder=folder, file=file)


def start(run: Run) -> None:
    """Start the run's process detached: own session, files for its output, nothing shared with this terminal.

    Raises LoraTuiError when it runs already.
    """
    if _alive(run.folder):
        raise BadInput(
            "this run is working already", where=run.id, fix=f"Watch it with `lora-tui runs follow {run.id}`."
        )
    (run.folder / "stop").unlink(missing_ok=True)
    module = _MODULES[type(run.file.job)]
    with (run.folder / "stdout.log").open("ab") as out, (run.folder / "stderr.log").open("ab") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(run.folder / "job.toml")],
            cwd=run.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
    _remember(run.folder, child.pid)
    _children[child.pid] = child


_children: dict[int, subprocess.Popen[bytes]] = {}


def _remember(folder: Path, pid: int) -> None:
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    atomic.write_text(folder / "process.toml", toml.dump(Process(pid=pid, started=started)))


def _alive(folder: Path) -> bool:
    path = folder / "process.toml"
    if not path.is_file():
        return False
    known = toml.load(path, Process)
    child = _children.get(known.pid)
    if child is not None and child.poll() is not None:  # reap our own, or it stays a zombie
        del _children[known.pid]
        return False
    try:
        process = psutil.Process(known.pid)
        return abs(process.create_time() - known.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_alive(run: Run) -> bool:
    """Whether the run's process lives."""
    return _alive(run.folder)


def state_of(run: Run, last: journal.AnyEvent | None) -> State:
    """The run's state, given the last of its journal's started/stopped/finished/failed events."""
    if _alive(run.folder):
        return "running"
    match last:
        case journal.Finished():
            return "finished"
        case journal.Stopped():
            return "stopped"
        case journal.Failed():
            return "failed"
        case _:
            return "failed" if (run.folder / "process.toml").is_file() else "new"


def why_it_ended(run: Run) -> str:
    """For a process that ended without a word: the last line it printed, and the usual cause."""
    try:
        lines = (run.folder / "stderr.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    last = f" Its last line was: {lines[-1].strip()}" if lines else ""
    return f"The process ended without a word: killed, or out of memory.{last}"


def stop(run: Run) -> None:
    """Ask the run to write a checkpoint and stop. It does so within one step; see the journal's `stopped`."""
    if not _alive(run.folder):
        raise BadInput("this run is not working", where=run.id)
    (run.folder / "stop").touch()


def kill(run: Run) -> None:
    """End the run's whole process group now; work since the last checkpoint is lost."""
    path = run.folder / "process.toml"
    if path.is_file() and _alive(run.folder):
        try:
            os.killpg(toml.load(path, Process).pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait(run: Run, seconds: float) -> bool:
    """Wait until the run's process ended; False when it still lives after `seconds`."""
    end = time.monotonic() + seconds
    while _alive(run.folder):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def runs(workspace: Workspace) -> list[Run]:
    """Every run of the workspace, newest first; a folder without a readable job.toml is left out."""
    found: list[Run] = []
    for path in sorted(workspace.runs.glob("*/job.toml"), reverse=True):
        try:
            found.append(Run(folder=path.parent, file=load_job(path)))
        except LoraTuiError:
            continue
    return found


def find(workspace: Workspace, name: str) -> Run:
    """The run with this id, a unique beginning of one, or 'latest'. Raises BadInput."""
    everything = runs(workspace)
    if name == "latest" and everything:
        return everything[0]
    matching = [run for run in everything if run.id == name] or [run for run in everything if run.id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(
            f"{name!r} fits {len(matching)} runs",
            fix="Give more of the id: " + ", ".join(run.id for run in matching[:4]) + ".",
        )
    raise BadInput(f"there is no run {name!r}", fix="See `lora-tui runs list`.")
