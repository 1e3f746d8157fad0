"""Asking the other machine's own Python: `there.py` with one request, as the input of `python3 -`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.backends.rented import there
from lora_tui.backends.rented.connection import Answer, Connection
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden

_SOURCE = Path(there.__file__).read_text()
_MARK = there.MARK.encode()


class Gpu(msgspec.Struct, frozen=True):
    """Bytes."""

    name: str
    memory_total: int
    memory_used: int


class Facts(msgspec.Struct, frozen=True):
    """What a machine says of itself; bytes. `root` is the folder for jobs as an absolute path."""

    root: str
    system: str
    python: str
    executable: str
    cores: int
    ram_total: int
    ram_available: int
    disk_free: int
    address: str  # its own, on the network it leaves by
    now: float  # epoch seconds, by its clock
    gpus: tuple[Gpu, ...] = ()


class Status(msgspec.Struct, frozen=True):
    """The newest attempt at a job: see `there.status`."""

    attempt: int
    state: str  # none, running, ended, lost
    code: int


def in_shell(python: str) -> str:
    """An interpreter as a word for any shell there, which knows whose home `~/` is; "" is python3."""
    home, path = ("~/", python[2:]) if python.startswith("~/") else ("", python or "python3")
    return home + shlex.quote(path)


def marked(answer: Answer) -> bytes:
    """What was printed behind the mark, to the end of its line; empty where there is no mark."""
    return answer.out.rpartition(_MARK)[2].partition(b"\n")[0] if _MARK in answer.out else b""


async def said(connection: Connection, python: str, code: str, path: str = "") -> tuple[str, str]:
    """What one line of Python there gives as `said`, a text; else why it did not get so far. `path`: PYTHONPATH.

    Raises Dropped.
    """
    given = f"env PYTHONPATH={shlex.quote(path)} " if path else ""
    code = f"{code}; print({there.MARK!r} + said)"
    answer = await connection.run(f"{given}{in_shell(python)} -c {shlex.quote(code)}")
    if answer.code == 0 and _MARK in answer.out:
        return marked(answer).decode(errors="replace").strip(), ""
    lines = answer.err.decode(errors="replace").strip().splitlines()
    return "", lines[-1] if lines else f"exit code {answer.code}"


async def ask(connection: Connection, python: str, kind: Any, do: str, seconds: float = 600.0, **more: Any) -> Any:
    """Do `there.do(**more)` on the other machine with its interpreter `python` ("" for python3); its answer as `kind`.

    Nothing of the request is seen in its list of processes. Raises Dropped, and LoraTuiError for what it complains of.
    """
    request = msgspec.json.encode({"do": do, **more}).decode()
    source = f"{_SOURCE}\nmain({request!r})\n"
    answer = await connection.run(f"{in_shell(python)} -", source.encode(), seconds)
    where = connection.target.name
    try:
        said = msgspec.json.decode(marked(answer), type=dict[str, Any])
        if "error" not in said:
            return msgspec.convert(said["answer"], kind)
        reason = str(said["error"])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        lines = (answer.err or answer.out).decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"no answer, exit code {answer.code}"
    if answer.code in (126, 127):
        raise LoraTuiError(f"there is no {python or 'python3'} on this machine", where=where)
    raise LoraTuiError(f"the machine could not do it ({do}): {hidden(reason)}", where=where)
