"""Connections to an engine, kept open between requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from lora_tui.adapters.serving import wire
from lora_tui.adapters.serving.wire import Head

_CONNECT_SECONDS = 5.0
_IDLE = 128  # connections kept
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unreachable(ConnectionError):
    """No answer began: nothing listens, or the connection broke before the first byte."""


class Response:
    """An answer that has begun. `close` it in any case; where it was read to the end its connection is used again."""

    def __init__(self, pool: Pool, connection: Connection, head: Head) -> None:
        self.head = head
        self._pool, self._connection = pool, connection
        self._whole = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's pieces as they come. Raises ConnectionError where it breaks off."""
        async for data in wire.chunks(self._connection[0], self.head):
            yield data
        self._whole = True

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([data async for data in self.chunks()])

    def close(self) -> None:
        """Give the connection back, or end it, which tells an engine that nobody waits for the rest."""
        if self._whole and self.head.keeps_open and wire.is_delimited(self.head):
            self._pool.take_back(self._connection)
        else:
            self._connection[1].transport.abort()


class Pool:
    """Connections to one address."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._idle: deque[Connection] = deque()

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        """Send a request and wait for the answer's head. Raises Unreachable.

        A kept connection that the engine closed meanwhile is replaced once: asking again changes nothing there.
        """
        said = [("host", f"{self.host}:{self.port}"), ("content-length", str(len(body))), *headers]
        data = wire.head(f"{method} {path} HTTP/1.1", said) + body
        while True:
            kept = self._kept()
            connection = kept or await self._connect()
            try:
                connection[1].write(data)
                await connection[1].drain()
                head = await wire.read_head(connection[0])
                if head is None:
                    raise ConnectionResetError("the connection was closed without an answer")
                return Response(self, connection, head)
            except (OSError, wire.Malformed) as error:
                connection[1].transport.abort()
                if kept is None:
                    raise Unreachable(str(error) or type(error).__name__) from error
            except BaseException:
                connection[1].transport.abort()
                raise

    async def ask(self, method: str, path: str, data: Any = None) -> tuple[int, bytes]:
        """A request with a JSON body, and the whole answer: status and body. Raises ConnectionError."""
        body = b"" if data is None else msgspec.json.encode(data)
        response = await self.request(method, path, body, [("content-type", wire.JSON)])
        try:
            return response.head.status, await response.read()
        finally:
            response.close()

    def take_back(self, connection: Connection) -> None:
        """Keep a connection for a later request."""
        if len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            connection[1].close()

    def close(self) -> None:
        """End what is kept."""
        while self._idle:
            self._idle.pop()[1].transport.abort()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not (connection[0].at_eof() or connection[1].transport.is_closing()):
                return connection
            connection[1].transport.abort()
        return None

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(self.host, self.port, limit=1 << 20)
        except (OSError, TimeoutError) as error:
            raise Unreachable(str(error) or "nothing answers there") from error
