"""Writing replies to the pipe; imports nothing of the engine, so that a missing engine can be told."""

from __future__ import annotations

from typing import BinaryIO

from lora_tui.jobs.answering import Reply, Trouble, line
from lora_tui.jobs.journal import Failed


def say(wire: BinaryIO, reply: Reply) -> None:
    """One reply, at once and whole."""
    data = memoryview(line(reply))
    while data:
        data = data[wire.write(data) or 0 :]


def say_failed(wire: BinaryIO, failed: Failed) -> None:
    """The process cannot go on."""
    where = f" ({failed.where})" if failed.where else ""
    try:
        say(wire, Trouble(id=0, error=failed.reason + where, fix=failed.fix))
    except BrokenPipeError:
        pass
