"""Kills a piece of work at each of its steps on the disk, as `kill -9` would, and hands what is left to the test.

A step is an fsync, a rename or replace, and whatever else changes a folder: a file opened for writing, a file or folder
made or removed, a mode changed. Each is killed just before it happens, in a forked child:

    for step in killed.at_every_step(workspace.root, lambda: registry.add(workspace, metadata, fill)):
        assert_whole(workspace)          # `step` says where it was killed
    # here the work was done to its end

The folder is put back as it was before each try. A module with a main of its own is killed in a process of its own:
`at_every_step(folder, module=["lora_tui.adapters.merging", "job.toml"])`.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

MOST = 2000
_EVENTS = {
    "os.rename": 2,  # event: how many of its arguments are paths; replace is told as rename
    "os.remove": 1,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.chmod": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def at_every_step(
    inside: Path, act: Callable[[], object] | None = None, *, module: Sequence[str] = (), first: int = 1, every: int = 1
) -> Iterator[str]:
    """Kill the work at step `first`, `first + every`, …, and yield the step's name; ends when it came to its end.

    inside: the folder whose changes count; it is restored before each try. Raises AssertionError where the work
    fails by itself.
    """
    with tempfile.TemporaryDirectory() as kept:
        before = Path(kept) / "before"
        shutil.copytree(inside, before, symlinks=True)
        for number in range(first, MOST, every):
            _restore(before, inside)
            step = _try(number, inside, act) if act is not None else _try_module(number, inside, module)
            if not step:
                make_removable(before)
                return
            yield step
    raise AssertionError(f"more than {MOST} steps")


def make_removable(folder: Path) -> None:
    """Let a folder with read-only folders inside be removed by who is not root."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def _restore(before: Path, inside: Path) -> None:
    if inside.exists():
        make_removable(inside)
        shutil.rmtree(inside)
    shutil.copytree(before, inside, symlinks=True)


def _try(number: int, inside: Path, act: Callable[[], object]) -> str:
    """The step that a forked child was killed at; empty when it came to its end before."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _arm(number, inside, tell)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(3)
    os.close(tell)
    with os.fdopen(told) as pipe:
        step = pipe.read()
    _, status = os.waitpid(child, 0)
    return _judged(os.waitstatus_to_exitcode(status), step)


def _try_module(number: int, inside: Path, module: Sequence[str]) -> str:
    told, tell = os.pipe()
    command = [sys.executable, __file__, str(number), str(inside), str(tell), *module]
    try:
        process = subprocess.Popen(command, pass_fds=[tell], cwd=inside)
    finally:
        os.close(tell)
    with os.fdopen(told) as pipe:
        step = pipe.read()
    return _judged(process.wait(), step)


def _judged(code: int, step: str) -> str:
    if code == -signal.SIGKILL and step:
        return step
    assert code == 0, f"the work failed by itself, with {code}"
    return ""


def _arm(number: int, inside: Path, tell: int) -> None:
    """Kill this process before its step `number` inside the folder."""
    count = 0
    root = os.path.realpath(inside)

    def step(name: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.write(tell, f"{number}: {name}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and _is_inside(path, root):
                step(f"open {path}")
        elif event in _EVENTS:
            paths, others = arguments[: _EVENTS[event]], arguments[_EVENTS[event] :]
            relative = any(isinstance(other, int) and other >= 0 for other in others[-1:]) and event != "os.truncate"
            if relative or any(_is_inside(path, root) for path in paths):
                step(f"{event} {' '.join(map(str, paths))}")

    fsync = os.fsync

    def counted(descriptor: int) -> None:
        step("os.fsync")
        fsync(descriptor)

    os.fsync = counted
    sys.addaudithook(hook)


def _is_inside(path: object, root: str) -> bool:
    if not isinstance(path, str | os.PathLike):
        return False
    found = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))
    return found == root or found.startswith(root + os.sep)


if __name__ == "__main__":
    _arm(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    sys.argv = sys.argv[4:]
    sys.path.insert(0, "")  # as `python -m` does
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
