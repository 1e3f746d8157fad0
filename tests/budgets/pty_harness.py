"""A program under a real pty: what it sends, what it costs, how it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

DOWN, PAGE_DOWN = "\x1b[B", "\x1b[6~"
_ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[c": b"\x1b[?62;22c", b"\x1b[6n": b"\x1b[1;1R"}
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=?][0-9;$]*[a-zA-Z]")


class Terminal:
    """A child process with a terminal of its own; use as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> None:
        variables = {
            key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TMUX", "SSH_CONNECTION")
        }
        variables |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
        if home is not None:
            variables |= {"HOME": str(home)}
        variables |= dict(environment or {})
        self.columns, self.rows = columns, rows
        self.output = bytearray()
        self.status: int | None = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            time.sleep(0.05)
            try:
                os.execvpe(command[0], list(command), variables)
            finally:
                os._exit(127)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
            if not self.wait(3.0):
                os.kill(self.pid, signal.SIGKILL)
                self.wait(3.0)
        os.close(self.master)

    def drain(self, quiet: float = 0.3, limit: float = 20.0, until: Callable[[bytearray], bool] | None = None) -> int:
        """Read until nothing came for `quiet` seconds (and `until` holds for all output), at most `limit` seconds."""
        begun = last = time.monotonic()
        received = 0
        while time.monotonic() - begun < limit:
            if select.select([self.master], [], [], 0.02)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:
                    break
                if not data:
                    break
                received += len(data)
                self.output += data
                last = time.monotonic()
                for question, answer in _ANSWERS.items():
                    if question in data:
                        os.write(self.master, answer)
            elif time.monotonic() - last >= quiet and (until is None or until(self.output)):
                break
        return received

    def until(self, text: str, limit: float = 30.0) -> None:
        """Read until `text` was sent."""
        wanted = text.encode()
        self.drain(0.0, limit, lambda output: wanted in output)
        assert wanted in self.output, f"{text!r} was not shown:\n{self.screen()}"

    def press(self, keys: str, quiet: float = 0.3, limit: float = 10.0) -> int:
        """Type; returns the bytes that came back."""
        os.write(self.master, keys.encode())
        return self.drain(quiet, limit)

    def cpu(self) -> float:
        """CPU seconds of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self, seconds: float) -> bool:
        """Read on until the process ended; False when it did not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.drain(0.0, 0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
                self.drain(0.05, 0.5)
                return True
        return False

    def screen(self) -> str:
        """What a person sees."""
        screen = pyte.Screen(self.columns, self.rows)
        pyte.ByteStream(screen).feed(_UNKNOWN_TO_PYTE.sub(b"", bytes(self.output)))
        return "\n".join(line.rstrip() for line in screen.display)


def app(workspace: Path, *arguments: str) -> list[str]:
    """The command that opens the app on a workspace."""
    return [sys.executable, "-m", "lora_tui", "--workspace", str(workspace), *arguments]


def cpu_ratio(command: Sequence[str], against: Sequence[str], times: int = 9) -> float:
    """CPU of one command over that of another, both ending by themselves; run by turns, medians compared."""
    pairs = [(_cpu(command), _cpu(against)) for _ in range(times)]
    ours, theirs = (statistics.median(found) for found in zip(*pairs, strict=True))
    return ours / theirs


def _cpu(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(command), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
