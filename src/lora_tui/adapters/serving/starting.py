"""Starting a served set in a process of its own that outlives the terminal, and waiting until it answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from lora_tui.adapters.serving import sets
from lora_tui.adapters.serving.sets import Served
from lora_tui.workspace.errors import LoraTuiError

_LOOK = 0.1  # seconds
_children: list[subprocess.Popen[bytes]] = []  # that this process started: reaped, or they stay zombies


def start(one: Served, *, say: Callable[[str], None] = lambda _: None) -> None:
    """Start it detached and wait until it is ready. Raises LoraTuiError with its reason when it ends before."""
    _children[:] = [child for child in _children if child.poll() is None]
    log = one.folder / sets.LOG
    begin = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "lora_tui.adapters.serving", str(one.folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    _children.append(child)
    try:
        if _is_ready(one, child, say):
            return
    except BaseException:  # who waited for it leaves: it is not to start behind their back
        child.terminate()
        child.wait()
        raise
    state = one.state
    if state is not None and state.pid == child.pid and state.why:
        what, _, fix = state.why.partition("\n")
        raise LoraTuiError(what, fix=fix or f"The whole story is in {log}.")
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    raise LoraTuiError(f"{one.set.name} does not start: {lines[-1]}", where=str(log))


def _is_ready(one: Served, child: subprocess.Popen[bytes], say: Callable[[str], None]) -> bool:
    """Wait until it is ready; False when it ended before."""
    said = ""
    while child.poll() is None:
        state = one.state
        if state is not None and state.pid == child.pid:
            if state.state == "ready":
                return True
            if state.state != said:
                said = state.state
                say(f"{one.set.name} is {said}")
        time.sleep(_LOOK)
    return False
