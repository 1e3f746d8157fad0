"""Served sets on disk: serving/<name>/ in the workspace, so that everybody finds what is being served.

set.toml: what was asked for. state.json: the process that serves it, where it answers. requests.jsonl, totals.json: the
figures. logs/: a file per process. A set is alive while its lock is held, which the kernel lets go of with the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import time
from pathlib import Path

import msgspec

from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

SET, STATE, LOCK, LOG = "set.toml", "state.json", "lock", "server.log"
SOCKET_FOLDER = "lora-tui-control-"
DEFAULT_PORT = 8484
_LOCK_SECONDS = 0.3  # who only looks whether it is held holds it for an instant
_LEAVE = 60.0  # seconds that a server may take to stop


class Set(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """set.toml: what is served, and how. `adapters` as they were named: NAME, or NAME@VERSION."""

    name: str
    workspace: str
    base: str
    base_name: str
    engine: str
    adapters: tuple[str, ...] = ()
    route: bool = False
    port: int = 0  # 0: any
    program: str = ""
    options: tuple[str, ...] = ()
    max_rank: int = 0  # 0: what the adapters have
    context: int = 0
    parallel: int = 0
    pin: bool = False
    languages: dict[str, str] = {}  # language -> name, for `auto`


class State(msgspec.Struct, frozen=True):
    """state.json. `url` is where clients ask: the router, or the engine's base; control is the socket to ask here."""

    pid: int
    started: float  # of the process, as the system tells it: with the pid it names one process for ever
    state: str = "starting"  # starting, ready, failed
    url: str = ""
    control: str = ""
    why: str = ""  # it failed
    names: dict[str, str] = {}  # name -> version now


class Served(msgspec.Struct, frozen=True):
    """A set's folder with what was asked for."""

    folder: Path
    set: Set

    @property
    def state(self) -> State | None:
        """Its process' last word; None before one ever ran."""
        try:
            return msgspec.json.decode((self.folder / STATE).read_bytes(), type=State)
        except (OSError, msgspec.DecodeError):
            return None

    @property
    def is_alive(self) -> bool:
        """Whether a process serves it."""
        return _held(self.folder / LOCK)


def folder_of(workspace: Workspace) -> Path:
    """Where the sets lie."""
    return workspace.root / "serving"


def served(workspace: Workspace) -> list[Served]:
    """Every set that was ever served, by name."""
    found = []
    for path in sorted(folder_of(workspace).glob(f"*/{SET}")):
        try:
            found.append(Served(path.parent, toml.load(path, Set)))
        except LoraTuiError:
            continue
    return found


def alive(workspace: Workspace) -> list[Served]:
    """The sets that are served now."""
    return [one for one in served(workspace) if one.is_alive]


def find(workspace: Workspace, name: str = "") -> Served:
    """The set called `name`; without a name the only one that is served. Raises BadInput."""
    found = [one for one in served(workspace) if one.set.name == name] if name else alive(workspace)
    if len(found) == 1:
        return found[0]
    known = ", ".join(one.set.name for one in served(workspace)) or "none"
    what = f"there is no served set {name!r}" if name else f"{len(found) or 'no'} sets are served: say which"
    raise BadInput(what, fix=f"Known: {known}. `lora-tui serve BASE --adapter NAME` starts one.")


def create(workspace: Workspace, wanted: Set) -> Served:
    """Write down what is to be served. Raises BadInput where a process serves a set of that name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", wanted.name):
        raise BadInput(f"{wanted.name!r} is no name for a served set", fix="Letters, digits, '.', '_' and '-'.")
    made = Served(folder_of(workspace) / wanted.name, wanted)
    if made.is_alive:
        raise BadInput(
            f"{wanted.name} is served already",
            where=str(made.folder),
            fix=f"Stop it first: lora-tui serve stop {wanted.name}; or give this one another --name.",
        )
    (made.folder / "logs").mkdir(parents=True, exist_ok=True)
    atomic.write_text(made.folder / SET, toml.dump(wanted))
    return made


def stop(one: Served) -> bool:
    """End its process and wait until it left; it ends its engines. False where none serves it. Raises LoraTuiError."""
    state = one.state
    if not one.is_alive or state is None:
        return False
    if process_started(state.pid) != state.started:
        raise LoraTuiError("its process cannot be told from another", where=str(one.folder / STATE))
    os.kill(state.pid, signal.SIGTERM)
    end = time.monotonic() + _LEAVE
    while _held(one.folder / LOCK):
        if time.monotonic() > end:
            raise LoraTuiError(f"{one.set.name} does not stop", where=str(one.folder / LOG), fix=f"kill -9 {state.pid}")
        time.sleep(0.05)
    return True


def hold(folder: Path) -> int:
    """Take the set's lock for this process. Raises BadInput where another has it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        time.sleep(0.02)
    os.close(handle)
    raise BadInput("this set is served already", where=str(folder), fix="See `lora-tui serve list`.")


def sweep(folder: Path) -> None:
    """Remove the socket that a killed server of this set left in the temporary folder."""
    state = Served(folder, toml.load(folder / SET, Set)).state
    left = Path(state.control).parent if state is not None and state.control else None
    if left is not None and left.name.startswith(SOCKET_FOLDER):
        shutil.rmtree(left, ignore_errors=True)


def process_started(pid: int) -> float:
    """When the process of this pid began, epoch seconds; 0 where there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)
