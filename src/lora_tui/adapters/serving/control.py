"""Asking a server that runs: a JSON line over its Unix socket, lines back: remarks, at the end a result or an error.

The socket lies in a folder that only its owner can enter, in the system's temporary folder: the path of a socket may
have no more than 107 bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters.serving.sets import SOCKET_FOLDER, Served
from lora_tui.workspace.errors import BadInput, LoraTuiError

Say = Callable[[str], None]
Do = Callable[[dict[str, Any], Say], Awaitable[dict[str, Any]]]


class Line(msgspec.Struct, omit_defaults=True):
    """One line of an answer."""

    said: str = ""
    result: dict[str, Any] | None = None
    error: str = ""
    where: str = ""
    fix: str = ""
    bad_input: bool = False


@asynccontextmanager
async def listening(do: Do) -> AsyncIterator[str]:
    """Answer requests with `do` while inside; yields the socket's path."""
    folder = Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER))
    path = folder / "control"

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(words: str) -> None:
            if not writer.is_closing():
                writer.write(msgspec.json.encode(Line(said=words)) + b"\n")

        try:
            asked = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            line = Line(result=await do(asked, say))
        except msgspec.DecodeError as error:
            line = Line(error=f"not a request: {error}", bad_input=True)
        except LoraTuiError as error:
            line = Line(error=error.what, where=error.where, fix=error.fix, bad_input=isinstance(error, BadInput))
        except Exception as error:  # a bug here must not leave whoever asked waiting
            line = Line(error=f"{type(error).__name__}: {error}")
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(line) + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(one, path)
    try:
        yield str(path)
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def ask(one: Served, do: str, *, seconds: float = 600.0, say: Say = lambda _: None, **given: Any) -> dict[str, Any]:
    """Ask the server of a set. Raises LoraTuiError with its words, and where it is not there."""
    state = one.state
    if state is None or not one.is_alive or not state.control:
        raise BadInput(f"{one.set.name} is not served now", fix=f"lora-tui serve {one.set.base} … starts it.")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(state.control)
            connection.sendall(msgspec.json.encode({"do": do, **given}) + b"\n")
            with connection.makefile("rb") as lines:
                for data in lines:
                    line = msgspec.json.decode(data, type=Line)
                    if line.said:
                        say(line.said)
                    elif line.result is not None:
                        return line.result
                    else:
                        kind = BadInput if line.bad_input else LoraTuiError
                        raise kind(line.error, where=line.where, fix=line.fix)
    except (OSError, msgspec.DecodeError) as error:
        raise LoraTuiError(f"{one.set.name} does not answer: {error}", where=state.control) from error
    raise LoraTuiError(f"{one.set.name} ended while it was asked", where=str(one.folder))
