"""An engine that answers OpenAI's completions at a fixed pace, on loopback, for little CPU; with planted faults.

python tests/fakes/engine_server.py PORT [FIRST GAP TOKENS]     # seconds, seconds, a number
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

BREAK = "BREAK"  # a prompt that holds this: the connection ends after two tokens
REFUSE = "REFUSE"  # HTTP 400
NEVER = "NEVER"  # no answer until the client leaves


class EngineServer:
    """`seen`: request bodies; `left`: how many clients went before their answer was complete."""

    def __init__(self, first: float = 0.0, gap: float = 0.0, tokens: int = 3) -> None:
        self.first, self.gap, self.tokens = first, gap, tokens
        self.seen: list[dict[str, Any]] = []
        self.left = 0
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen. Returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close, and break every connection off, as a killed engine does."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    def close_idle(self) -> None:
        """End the connections that are kept open."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = json.loads(await reader.readexactly(length) or b"{}")
                self.seen.append(body)
                await self._answer(reader, writer, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        prompt = json.dumps(body.get("messages", ""))
        if REFUSE in prompt:
            self._whole(writer, "400 Bad Request", {"error": {"message": "too long", "type": "x", "code": 400}})
            return
        if NEVER in prompt:
            await self._until_left(reader)
            return
        if not body.get("stream"):
            await asyncio.sleep(self.first + self.gap * self.tokens)
            message = {"role": "assistant", "content": " ".join("t" * self.tokens)}
            usage = {"prompt_tokens": 7, "completion_tokens": self.tokens}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._whole(writer, "200 OK", {"model": body.get("model"), "choices": [choice], "usage": usage})
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(self.first)
        for number in range(self.tokens):
            if writer.is_closing() or reader.at_eof():
                self.left += 1
                raise ConnectionResetError
            if BREAK in prompt and number == 2:
                writer.transport.abort()
                raise ConnectionResetError
            delta = {"model": body.get("model"), "choices": [{"index": 0, "delta": {"content": f"t{number} "}}]}
            self._chunk(writer, b"data: " + json.dumps(delta).encode() + b"\n\n")
            if self.gap:
                await asyncio.sleep(self.gap)
        self._chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _until_left(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.left += 1
        raise ConnectionResetError

    @staticmethod
    def _whole(writer: asyncio.StreamWriter, status: str, data: object) -> None:
        body = json.dumps(data).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    @staticmethod
    def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _main(port: int, first: float = 0.05, gap: float = 0.01, tokens: float = 20) -> None:
    await EngineServer(first, gap, int(tokens)).start(port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), *map(float, sys.argv[2:])))
