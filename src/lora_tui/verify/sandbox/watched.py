"""Run one command and stop it, with everything it started, when it goes over a limit."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import psutil

from lora_tui.verify.sandbox.limits import Limits

_LOOK = 0.1  # s between looks at its memory and processes
_CHUNK = 1 << 16


class Ended(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int  # exit status; negative: the signal that ended it
    stdout: str
    stderr: str
    seconds: float
    stopped: str  # the limit it went over, in words; '' when it ended by itself
    status: bytes  # what the sandbox wrote to its status file


def watched(
    command: Callable[[int], Sequence[str]], environment: Mapping[str, str], limits: Limits, seconds: float
) -> Ended:
    """Run `command(number of its status file)`. Its input is empty. Raises OSError when it cannot be started."""
    ours, theirs = os.pipe()
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command(theirs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(theirs,),
            env=environment,
            start_new_session=True,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    assert process.stdout is not None
    assert process.stderr is not None
    files = {process.stdout.fileno(): "stdout", process.stderr.fileno(): "stderr", ours: "status"}
    texts = {name: bytearray() for name in files.values()}
    try:
        stopped = _follow(process, files, texts, limits, started, seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        process.stdout.close()
        process.stderr.close()
        os.close(ours)
    out, err = (texts[name][: limits.output].decode(errors="replace") for name in ("stdout", "stderr"))
    return Ended(code, out, err, time.monotonic() - started, stopped, bytes(texts["status"]))


def _follow(
    process: subprocess.Popen[bytes],
    files: dict[int, str],
    texts: dict[str, bytearray],
    limits: Limits,
    started: float,
    seconds: float,
) -> str:
    """Read until the command ends; the limit it went over, or ''."""
    look = time.monotonic() + _LOOK
    with selectors.DefaultSelector() as selector:
        for file in files:
            os.set_blocking(file, False)
            selector.register(file, selectors.EVENT_READ)
        while True:
            ended, read = process.poll() is not None, 0
            for key, _ in selector.select(0 if ended else _LOOK / 2):
                data = os.read(key.fd, _CHUNK)
                texts[files[key.fd]] += data
                read += len(data)
                if not data:
                    selector.unregister(key.fd)
            if len(texts["stdout"]) + len(texts["stderr"]) > limits.output:
                return f"printed more than {_megabytes(limits.output)}"
            if ended and not read:
                return ""
            now = time.monotonic()
            if now > started + seconds:
                return f"took longer than {seconds:g} s"
            if now > look:
                look = now + _LOOK
                if reason := _too_much(process.pid, limits):
                    return reason


def _too_much(pid: int, limits: Limits) -> str:
    """Memory and processes of all that `pid` started: a limit per process alone would hold each of many."""
    memory = count = 0
    with suppress(psutil.Error):
        for one in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                memory += one.memory_info().rss
                count += 1
    if memory > limits.memory:
        return f"used more than {_megabytes(limits.memory)} of memory"
    return f"started more than {limits.processes} processes" if count > limits.processes else ""


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.4g} MB"
