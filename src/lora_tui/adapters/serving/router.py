"""The router: a thin, streaming, OpenAI-compatible proxy before the engines.

It decides who answers, rewrites `model`, passes the answer's bytes on as they come, and writes down what happened. It
holds no state of a request but that; an engine that is gone is a clear error, and the next request tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from lora_tui.adapters.serving import wire
from lora_tui.adapters.serving.accounts import LEFT, Accounts, prometheus
from lora_tui.adapters.serving.engine import BASE, Target
from lora_tui.adapters.serving.names import Names, Resolved
from lora_tui.adapters.serving.relaying import Passing, refuse, relay
from lora_tui.adapters.serving.upstream import Unreachable
from lora_tui.adapters.serving.wire import Head, Malformed

ASKED = ("/v1/chat/completions", "/v1/completions")
_LINGER = 2.0  # seconds
_DECODE = msgspec.json.Decoder().decode


class Engines(Protocol):
    """What the router needs of an engine."""

    def target(self, label: str) -> Target | None:
        """Where a version answers."""
        ...


class Router:
    """Answers on one address. `loaded` are the versions that may be asked for by their own name."""

    def __init__(self, engine: Engines, names: Names, accounts: Accounts, loaded: Callable[[], list[str]]) -> None:
        self.names, self.accounts = names, accounts
        self._engine, self._loaded = engine, loaded
        self._server: asyncio.Server | None = None
        self._closing = False
        self._connections: set[asyncio.Task[None]] = set()
        self._flying: dict[str, int] = {}  # version -> requests under way
        self._landed = asyncio.Event()
        self.begun = time.time()

    async def listen(self, host: str, port: int) -> int:
        """Begin to answer; port 0 takes a free one. Returns the port. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Watched(self._accept), host, port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, seconds: float = 10.0) -> None:
        """Take no more requests, let those under way end for at most `seconds`, then break them off."""
        self._closing = True  # connections that are kept open may bring further ones
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(self._flying.values()):
                    self._landed.clear()
                    await self._landed.wait()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def flying(self, version: str) -> int:
        """Requests under way that this version answers."""
        return self._flying.get(version, 0)

    async def drained(self, version: str, seconds: float) -> bool:
        """Wait until no request under way is this version's; False when some still are after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.flying(version):
                    self._landed.clear()
                    await self._landed.wait()
        except TimeoutError:
            return False
        return True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: _Watched) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        watched.on_gone = task.cancel

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, request by request."""
        try:
            while True:
                try:
                    head = await wire.read_head(reader)
                    if head is None:
                        return
                    if head.get("expect").lower() == "100-continue":
                        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    body = await wire.read_body(reader, head)
                except Malformed as error:
                    said = wire.error_body(error.status, str(error), "invalid_request_error")
                    writer.write(wire.answer(error.status, said, headers=[("connection", "close")]))
                    await writer.drain()
                    await _unread(writer, reader)
                    return
                whole = await self._answer(head, body, writer)
                await writer.drain()
                if not whole or not head.keeps_open:
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            with contextlib.suppress(Exception):
                writer.close()

    async def _answer(self, head: Head, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """One request. Returns whether its answer is whole, so that the connection may be used again."""
        method, path = head.words[0], head.words[1].partition("?")[0]
        if method == "HEAD":  # a body would be taken for the next answer
            writer.write(self._found(path).partition(wire.END)[0] + wire.END)
            return True
        if path in ASKED:
            if method == "POST":
                return await self._ask(path, head, body, writer)
            return refuse(writer, 405, f"{path} takes POST", "invalid_request_error")
        if method != "GET":
            return refuse(writer, 404, f"there is nothing at {method} {path}", "not_found_error")
        writer.write(self._found(path))
        return True

    def _found(self, path: str) -> bytes:
        """The answer to GET."""
        match path:
            case "/v1/models":
                return wire.answer(200, msgspec.json.encode(self._models()))
            case "/health":
                target = self._engine.target(BASE)
                status = 200 if target is not None and target.is_ready else 503
                said = {"status": target.state if target is not None else "starting"}
                return wire.answer(status, msgspec.json.encode(said))
            case "/stats":
                return wire.answer(200, msgspec.json.encode(self.stats()))
            case "/metrics":
                gauges = {
                    "requests_under_way": float(self.accounts.running()),
                    "tokens_per_second": self.accounts.tokens_per_second(),
                }
                text = prometheus(self.accounts.counts, self._flying, gauges)
                return wire.answer(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")
        return wire.answer(404, wire.error_body(404, f"there is nothing at {path}", "not_found_error"))

    def stats(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "since": self.begun,
            "names": self.names.current,
            "trials": self.names.trials,
            "running": self.accounts.running(),
            "tokens_per_second": self.accounts.tokens_per_second(),
            "versions": {
                version or self.names.base_name: {
                    **msgspec.to_builtins(counts),
                    "running": self.flying(version),
                    "first_mean": counts.first.mean,
                    "whole_mean": counts.whole.mean,
                }
                for version, counts in self.accounts.counts.items()
            },
        }

    def _models(self) -> dict[str, Any]:
        data = [
            {
                "id": one,
                "object": "model",
                "created": int(self.begun),
                "owned_by": "lora-tui",
                "root": self.names.current.get(one, one),
            }
            for one in self.names.listed(self._loaded())
        ]
        return {"object": "list", "data": data}

    async def _ask(self, path: str, head: Head, body: bytes, writer: asyncio.StreamWriter) -> bool:
        arrived = time.monotonic()
        try:
            asked = _DECODE(body)
            if not isinstance(asked, dict):
                raise msgspec.DecodeError("it is no object")
        except msgspec.DecodeError as error:
            return refuse(writer, 400, f"the body is no JSON: {error}", "invalid_request_error")
        if self._closing:
            return refuse(writer, 503, "this server stops", "engine_error", retry=True)
        model = asked.get("model")
        model = model if isinstance(model, str) else ""
        loaded = self._loaded()
        found = self.names.resolve(model, asked, dict(head.headers), loaded)
        if found is None:
            known = ", ".join(self.names.listed(loaded))
            return refuse(
                writer,
                404,
                f"the model {model!r} does not exist. There are: {known}",
                "not_found_error",
                "model_not_found",
            )
        identity = self.accounts.begin(model, found.version, found.reason)
        self._flying[found.version] = self._flying.get(found.version, 0) + 1
        passing = Passing(found, bool(asked.get("stream")))
        try:
            return await self._pass(path, asked, found, passing, writer)
        except (ConnectionError, asyncio.CancelledError):
            passing.status, passing.error = LEFT, "the client left"
            raise
        finally:
            self._flying[found.version] -= 1
            self._landed.set()
            self.accounts.end(passing.ended(identity, arrived))

    async def _pass(
        self, path: str, asked: dict[str, Any], found: Resolved, passing: Passing, writer: asyncio.StreamWriter
    ) -> bool:
        target = self._engine.target(found.version)
        name = found.version or self.names.base_name
        if target is None or not target.is_ready:
            state = target.state if target is not None else "not loaded"
            return passing.failed(writer, 503, f"{name} cannot answer now: its engine is {state}. Try again shortly.")
        asked["model"] = target.model
        try:
            headers = [("content-type", wire.JSON), ("accept", "*/*")]
            response = await target.pool.request("POST", path, msgspec.json.encode(asked), headers)
        except Unreachable as error:
            return passing.failed(
                writer, 502, f"{name} did not answer: its engine broke off ({error}). Try again shortly."
            )
        try:
            return await relay(response, passing, writer)
        finally:
            response.close()


async def _unread(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
    """Let a client that still sends read why it is refused: closing at once would reset the connection."""
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while await reader.read(1 << 16):
                pass


class _Watched(asyncio.StreamReaderProtocol):
    """A client's connection that tells at once when the client goes, also while nobody reads from it."""

    def __init__(self, accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter, _Watched], None]) -> None:
        self.on_gone: Callable[[], Any] | None = None
        reader = asyncio.StreamReader(limit=wire.MOST_HEAD)
        super().__init__(reader, lambda r, w: accept(r, w, self))

    def eof_received(self) -> bool:
        self._gone()
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        super().connection_lost(exc)

    def _gone(self) -> None:
        if self.on_gone is not None:
            self.on_gone()
