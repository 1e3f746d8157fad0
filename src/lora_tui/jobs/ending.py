"""Why a process ended without a word: what the system and the run's last events say about it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs import journal

Cause = Literal["memory", "disk", "restart", "unknown"]
_TAIL = 1 << 16  # bytes of the journal that are looked at
_NEARLY_ALL = 0.95  # of the RAM
_LITTLE = 1 << 20  # bytes
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_COUNTS = Path("/proc/vmstat")


class Process(msgspec.Struct, frozen=True):
    """process.toml: which process works on the run, or did last, and what the system was like when it began."""

    pid: int
    boot: str = ""  # the kernel's id of this start of the machine
    memory_kills: int = -1  # processes the kernel had ended for want of memory by then; -1: it does not count them


class Ending(msgspec.Struct, frozen=True):
    """The likely cause, and it in words."""

    cause: Cause
    words: str


def process(pid: int, *, boot: Path = _BOOT, counts: Path = _COUNTS) -> Process:
    """What to remember of a process that begins now."""
    return Process(pid=pid, boot=_boot(boot), memory_kills=_memory_kills(counts))


def why(folder: Path, last: Process | None, *, boot: Path = _BOOT, counts: Path = _COUNTS) -> Ending:
    """Why the process of the run in `folder` ended, given what was remembered of it."""
    if last is not None and last.boot and _boot(boot) != last.boot:
        return Ending("restart", "The machine was restarted while it worked.")
    if last is not None and 0 <= last.memory_kills < _memory_kills(counts):
        return Ending("memory", "Out of memory: the system killed a process for want of it while this one worked.")
    used = _ram_used(folder / "journal.jsonl")
    if used is not None and used >= _NEARLY_ALL:
        return Ending("memory", f"The machine was out of memory: {used:.0%} of its RAM was in use shortly before.")
    if shutil.disk_usage(folder).free < _LITTLE:
        return Ending("disk", "The disk is full: free some space.")
    return Ending("unknown", "It was killed, or out of memory.")


def _boot(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _memory_kills(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return -1
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), -1)


def _ram_used(path: Path) -> float | None:
    """The share of RAM in use when the machine was last looked at."""
    try:
        size = os.stat(path).st_size
    except OSError:
        return None
    reader = journal.JournalReader(path)
    reader.offset = max(0, size - _TAIL)
    share = None
    for event in reader.read():
        if isinstance(event, journal.Starting):
            share = None
        elif isinstance(event, journal.Hardware) and event.ram_total:
            share = event.ram_used / event.ram_total
    return share
