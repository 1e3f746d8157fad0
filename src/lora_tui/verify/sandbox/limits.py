"""What generated code may use, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Verdict = Literal["passed", "failed", "not run"]


class Limits(msgspec.Struct, frozen=True):
    """Limits of one run. Sizes in bytes."""

    seconds: float = 10.0  # by the clock
    compile_seconds: float = 60.0
    memory: int = 2 << 30  # of all its processes together, and of each one's address space
    output: int = 1 << 20  # stdout and stderr together
    file: int = 64 << 20  # one file; compilers get four times as much
    folder: int = 64 << 20  # everything in /work, and everything in /tmp
    processes: int = 128  # with threads
    open_files: int = 256


class Result(msgspec.Struct, frozen=True):
    """What running code showed. `not run` says nothing about the code."""

    verdict: Verdict
    why: str
    stdout: str = ""  # cut at the output limit
    stderr: str = ""
    seconds: float = 0.0  # by the clock, compiling included
    sandbox: str = ""  # what it ran in; '' when nothing was executed


class Step(msgspec.Struct, frozen=True):
    """One command inside a sandbox."""

    argv: tuple[str, ...]
    code: Path  # becomes /code, read-only
    built: Path  # becomes /built
    building: bool  # whether /built may be written
    homes: tuple[Path, ...]  # where its programs are installed, shown read-only at their own place
    limits: Limits

    @property
    def seconds(self) -> float:
        """Its time limit."""
        return self.limits.compile_seconds if self.building else self.limits.seconds

    @property
    def largest_file(self) -> int:
        """Bytes that one file may have."""
        return self.limits.file * (4 if self.building else 1)

    @property
    def environment(self) -> dict[str, str]:
        """All that it sees of an environment."""
        paths = [*(f"{home}/bin" for home in self.homes), "/usr/local/bin", "/usr/bin", "/bin"]
        return {"PATH": ":".join(paths), "HOME": "/work", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
