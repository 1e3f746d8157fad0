"""Starting, watching and stopping jobs. A job outlives the terminal it was started from.

A run's state is derived, never stored: from its journal's last word and from whether its process lives. A process
lives as long as the run's lock is held: it inherits the locked file, and the kernel lets go of it when it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs import ending, journal
from lora_tui.jobs.ending import Process as Process
from lora_tui.jobs.job import (
    Audit,
    Box,
    Cycle,
    Export,
    Foreign,
    Job,
    JobFile,
    Measure,
    Merge,
    Probe,
    Sweep,
    TinyBase,
    Together,
    Train,
    Verify,
    load_job,
)
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

STOP, PAUSE, CHECKPOINT = "stop", "pause", "checkpoint"  # files in a run folder that ask something of its process
CONDUCTED = "conductor.log"  # what the process prints that has a run done on another machine
NOW = "now"  # beside STOP, of a run that works elsewhere: end it there at once
LOCKED = "LORA_TUI_LOCK"  # in a process's environment: the number of the open file that is the run's lock
KILLED_FOR_MEMORY = "killed_for_memory"  # code of the warning about a process that was
_WORDS = (journal.Starting, journal.Started, journal.Stopped, journal.Finished, journal.Failed)
_KILL_SECONDS = 5.0  # until a process that was killed is gone
_LOCK_SECONDS = 0.3  # who only looks at a lock holds it for an instant
State = Literal["new", "running", "stopped", "finished", "failed"]

_MODULES: dict[type[Job], str] = {
    Train: "lora_tui.worker",
    Audit: "lora_tui.worker",
    Measure: "lora_tui.worker",
    Probe: "lora_tui.worker",
    TinyBase: "lora_tui.worker",
    Verify: "lora_tui.verify",
    Merge: "lora_tui.adapters.merging",
    Sweep: "lora_tui.backends.sweeping",
    Cycle: "lora_tui.cycle",
    Export: "lora_tui.adapters.exporting",
}
_ELSEWHERE: dict[type[Together | Box], str] = {
    Together: "lora_tui.backends.together",
    Box: "lora_tui.backends.rented",
}  # a process here that has it done there and keeps its journal


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


def new_identity(kind: str) -> str:
    """A name for a run; names sort by age."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}-{secrets.token_hex(2)}"


def create(workspace: Workspace, job: Job, title: str, *, identity: str = "") -> Run:
    """A new run folder with its job.toml; nothing is started."""
    workspace.ensure()
    identity = identity or new_identity(str(job.__struct_config__.tag))
    file = JobFile(id=identity, title=title, created=time.time(), workspace=str(workspace.root), job=job)
    folder = workspace.runs / identity
    folder.mkdir(parents=True)
    atomic.write_text(folder / "job.toml", toml.dump(file))
    return Run(folder=folder, file=file)


def start(run: Run) -> None:
    """Start the run's process detached: own session, files for its output, nothing shared with this terminal.

    Raises BadInput when it runs already, and where it is not this person's to start.
    """
    may_be_asked(run)
    python = _python(run.file.job)
    lock = _take_lock(run)
    try:
        for asked in (STOP, PAUSE, CHECKPOINT, NOW):
            (run.folder / asked).unlink(missing_ok=True)
        log = journal.Journal(run.journal)
        if isinstance(run.file.job, Train) and run.file.job.elsewhere is None:
            _note_want_of_memory(run, log)
        (run.folder / "process.toml").unlink(missing_ok=True)
        log.write(journal.Starting())
        log.close()
        printed, complained = _prints_to(run.file.job)
        with (run.folder / printed).open("ab") as out, (run.folder / complained).open("ab") as err:
            child = subprocess.Popen(
                [python, "-m", _module(run.file.job), str(run.folder / "job.toml")],
                cwd=run.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=(lock,),
                env=os.environ | ENVIRONMENT | {LOCKED: str(lock)},
            )
    finally:
        os.close(lock)  # the process has it too, for as long as it lives
    atomic.write_text(run.folder / "process.toml", toml.dump(ending.process(child.pid)))
    _children.append(child)


def _module(job: Job) -> str:
    """What is started for the job."""
    if isinstance(job, Train) and job.elsewhere is not None:
        return _ELSEWHERE[type(job.elsewhere)]
    return _MODULES[type(job)]


def _prints_to(job: Job) -> tuple[str, str]:
    """Files for what the process prints. Of a run on another machine the usual ones are that machine's, to the byte."""
    if _is_on_a_machine(job):
        return CONDUCTED, CONDUCTED
    return "stdout.log", "stderr.log"


def _is_on_a_machine(job: Job) -> bool:
    return isinstance(job, Train) and isinstance(job.elsewhere, Box)


def _python(job: Job) -> str:
    """The interpreter the job is done with. Raises BadInput where its environment is gone."""
    named = job.python if isinstance(job, Train) else ""
    if named and not os.access(named, os.X_OK):
        raise BadInput("the Python this run was started with is gone", where=named, fix="Start a new run.")
    return named or sys.executable


ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",  # the libraries' notes to their own authors
}

_children: list[subprocess.Popen[bytes]] = []


def hold(folder: Path) -> None:
    """For a process that works on the run in `folder`: hold its lock until the end, if who started it has not taken it.

    Raises BadInput when another process holds it.
    """
    given = os.environ.get(LOCKED, "")
    if given.isdecimal():
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(int(given)), os.stat(folder / "lock")):
                return
    _lock(folder, folder.name)


def _take_lock(run: Run) -> int:
    """The run's lock file, open and locked. Raises BadInput when a process holds it."""
    return _lock(run.folder, run.id)


def _lock(folder: Path, name: str) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(lock)
                fix = f"Watch it with `lora-tui runs follow {name}`."
                raise BadInput("this run is working already", where=name, fix=fix) from None
        time.sleep(0.01)


def _alive(folder: Path) -> bool:
    _children[:] = [child for child in _children if child.poll() is None]  # reap our own, or they stay zombies
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except (FileNotFoundError, PermissionError):  # another user's lock that may not be looked at
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # beside others who look
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def is_alive(run: Run) -> bool:
    """Whether the run's process lives."""
    return _alive(run.folder)


def is_held(folder: Path) -> bool:
    """Whether a process works on the run in this folder, which may be damaged or gone."""
    return _alive(folder)


def state_of(run: Run, last: journal.AnyEvent | None) -> State:
    """The run's state, given the last of its journal's started/stopped/finished/failed events."""
    if isinstance(last, journal.Finished):  # its process may take a moment to leave
        return "finished"
    if _alive(run.folder):
        return "running"
    match last:
        case journal.Stopped():
            return "stopped"
        case journal.Failed():
            return "failed"
        case _:
            return "failed" if (run.folder / "lock").is_file() else "new"


def why_it_ended(run: Run) -> str:
    """For a process that ended without a word: the likely cause, and the last line it printed."""
    found = ending.why(run.folder, _last_process(run.folder))
    try:
        lines = (run.folder / _prints_to(run.file.job)[1]).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    is_there = _is_on_a_machine(run.file.job)
    last = f" Its last line was: {lines[-1].strip()}" if lines else ""
    goes_on = " What it had done there may go on: `lora-tui runs resume` follows it." if is_there else ""
    return f"The process ended without a word. {found.words}{last}{goes_on}"


def _last_process(folder: Path) -> Process | None:
    """Which process worked last; None where nobody knows: the file is damaged, or the start was cut short."""
    try:
        return toml.load(folder / "process.toml", Process)
    except LoraTuiError:
        return None


def _note_want_of_memory(run: Run, log: journal.Journal) -> None:
    """Where the process before this one was killed for want of memory, say so: this one begins with a smaller batch."""
    said = [event for event in journal.JournalReader(run.journal).read() if isinstance(event, _WORDS)]
    if not said or not isinstance(said[-1], journal.Starting | journal.Started):
        return
    found = ending.why(run.folder, _last_process(run.folder))
    if found.cause == "memory":
        log.write(journal.Warned(message=found.words, code=KILLED_FOR_MEMORY))


def may_be_asked(run: Run) -> None:
    """Raises BadInput for a run that this person may watch and nothing else: a foreign one, or another user's."""
    if isinstance(run.file.job, Foreign):
        fix = "Ask the program that runs it, where it was started."
        raise BadInput("another program runs this training: it can be watched here, no more", where=run.id, fix=fix)
    if not os.access(run.folder, os.W_OK | os.X_OK):
        fix = "Ask whoever started it, or be given write access to that folder."
        raise BadInput("this run is not yours: you may read it, no more", where=str(run.folder), fix=fix)


def _ask(run: Run, what: str) -> None:
    may_be_asked(run)
    if not _alive(run.folder):
        raise BadInput("this run is not working", where=run.id)
    (run.folder / what).touch()


def stop(run: Run) -> None:
    """Ask the run to write a checkpoint and stop, also where it is paused; see the journal's `stopped`.

    This and the other requests raise BadInput when the run does not work, or is not this person's.
    """
    _ask(run, STOP)


def pause(run: Run) -> None:
    """Ask the run to wait after its step, with everything in memory. Raises BadInput for one that has no steps."""
    may_be_asked(run)
    if not isinstance(run.file.job, Train | Sweep):
        raise BadInput("only a training can be paused", where=run.id, fix="Stop it; `runs resume` goes on with it.")
    _refuse_at_together(run, "paused", "Stop it instead; `runs resume` goes on from its newest checkpoint there.")
    _ask(run, PAUSE)


def _refuse_at_together(run: Run, what: str, fix: str) -> None:
    job = run.file.job
    if isinstance(job, Train) and isinstance(job.elsewhere, Together):
        raise BadInput(f"a job at Together cannot be {what}", where=run.id, fix=fix)


def is_asked_to_pause(run: Run) -> bool:
    """Whether it waits, or will after its step."""
    return (run.folder / PAUSE).exists()


def unpause(run: Run) -> None:
    """Let a paused run go on."""
    may_be_asked(run)
    (run.folder / PAUSE).unlink(missing_ok=True)


def checkpoint(run: Run) -> None:
    """Ask the run for a checkpoint after its step. Raises BadInput for one that writes none."""
    may_be_asked(run)
    if isinstance(run.file.job, Sweep):
        fix = f"Ask the run it works on; `lora-tui sweep show {run.id}` names them."
        raise BadInput("a sweep has no checkpoint of its own", where=run.id, fix=fix)
    if not isinstance(run.file.job, Train):
        raise BadInput("only a training writes checkpoints", where=run.id)
    _refuse_at_together(run, "asked for a checkpoint", "It writes one after each epoch.")
    _ask(run, CHECKPOINT)


def kill(run: Run) -> None:
    """End the run's process group now, a sweep's or a cycle's with the run it does; since its checkpoint all is lost.

    What works elsewhere is ended there by the process here, which then leaves; asked again, that is what is ended.
    """
    may_be_asked(run)
    job = run.file.job
    if isinstance(job, Train) and job.elsewhere is not None and _alive(run.folder) and not (run.folder / NOW).exists():
        (run.folder / NOW).touch()
        (run.folder / STOP).touch()
        return
    _kill(run.folder)
    if isinstance(run.file.job, Sweep):
        for trial in run.file.job.trials:
            _kill(run.folder.parent / trial.run)
    for part in parts(run):
        _kill(part)


def parts(run: Run) -> tuple[Path, ...]:
    """The folders of the runs that a cycle is made of, as far as they are there: its training, its verifications."""
    if not isinstance(run.file.job, Cycle):
        return ()
    return tuple(folder for folder in run.folder.parent.glob(_part(run.id, "*")) if folder != run.folder)


def part(cycle: Run, kind: str) -> Path:
    """Where the run of a cycle lies that does this part of it: "train", "verify", …"""
    return cycle.folder.with_name(_part(cycle.id, kind))


def _part(cycle: str, kind: str) -> str:
    return cycle.replace("-cycle-", f"-{kind}-")


def _kill(folder: Path) -> None:
    """Kill what works on the run, and wait until it is gone: with much memory to give back that takes a moment."""
    end = time.monotonic() + _KILL_SECONDS
    killed = False
    while _alive(folder):
        pid = _worker_of(folder)
        if pid is not None and not killed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            killed = True
        if time.monotonic() > end:
            if killed:
                return
            raise BadInput("which process works on this run is written nowhere", where=str(folder / "process.toml"))
        time.sleep(0.01)


def _worker_of(folder: Path) -> int | None:
    """The process that works on the run; None where it is just being started.

    Who starts it may be ended before it could write process.toml: then it is the one whose command line names the job.
    """
    last = _last_process(folder)
    if last is not None:
        return last.pid
    named = os.fsencode(folder / "job.toml")
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            pid = int(line.parent.name)
            if line.read_bytes().rstrip(b"\0").split(b"\0")[-1] == named and os.getsid(pid) == pid:
                return pid
    return None


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
    """The run with this id, a unique beginning of one, or 'latest': of what a person started. Raises BadInput."""
    return pick(runs(workspace), name)


def pick(everything: Sequence[Run], name: str) -> Run:
    """The run of these, newest first, that `name` means, as for `find`."""
    if not name:
        raise BadInput("which run? The name is empty", fix="See `lora-tui runs list`, or say 'latest'.")
    if name == "latest":
        of_cycles = {folder for run in everything for folder in parts(run)}
        newest = next((run for run in everything if _on_its_own(run.file.job) and run.folder not in of_cycles), None)
        if newest is None:
            raise BadInput("there is no run yet", fix="Train one: lora-tui train PROFILE --dataset NAME")
        return newest
    matching = [run for run in everything if run.id == name] or [run for run in everything if run.id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(
            f"{name!r} fits {len(matching)} runs",
            fix="Give more of the id: " + ", ".join(run.id for run in matching[:4]) + ".",
        )
    raise BadInput(f"there is no run {name!r}", fix="See `lora-tui runs list`.")


def _on_its_own(job: Job) -> bool:
    """Whether a person started it by itself: not what a plan or a sweep is made of."""
    return isinstance(job, Verify | Sweep | Export | Cycle) or (isinstance(job, Train) and not job.sweep)
