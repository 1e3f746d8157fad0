"""The terminal the app runs on: what it can do, keeping strangers from writing on it, and its clipboard."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path

_COPY_LIMIT = 70_000  # bytes of base64: what terminals accept in one OSC 52


def prepare(environment: MutableMapping[str, str]) -> None:
    """Settings that Textual reads when it is imported: over SSH, few frames and no animation."""
    environment.setdefault("TEXTUAL_ANIMATIONS", "none")
    if environment.get("SSH_CONNECTION"):
        environment.setdefault("TEXTUAL_FPS", "15")


def wants_no_colour(environment: Mapping[str, str]) -> bool:
    """Whether the person asked for no colour at all (no-color.org: set and not empty)."""
    return bool(environment.get("NO_COLOR"))


@contextmanager
def own_screen(log: Path) -> Iterator[None]:
    """Textual draws on fd 2. Give it a private copy, and point fd 2 at the log: native libraries write there too."""
    stream = sys.__stderr__
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield
        return
    terminal = os.dup(2)
    os.dup2(file, 2)
    os.close(file)
    screen = os.fdopen(terminal, "w", encoding="utf-8", errors="replace", closefd=False)
    sys.__stderr__ = screen  # type: ignore[misc]  # where Textual's driver takes its output from
    try:
        yield
    finally:
        try:
            screen.flush()
        except OSError:
            pass
        sys.__stderr__ = stream  # type: ignore[misc]
        os.dup2(terminal, 2)
        os.close(terminal)


def osc52(text: str, environment: Mapping[str, str]) -> str:
    """The sequence that puts `text` on the clipboard of the person's own terminal, also through tmux."""
    data = base64.b64encode(text.encode(errors="replace"))[: _COPY_LIMIT - _COPY_LIMIT % 4].decode()
    sequence = f"\x1b]52;c;{data}\x07"
    if environment.get("TMUX"):
        sequence += "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
