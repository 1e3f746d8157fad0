"""Passing one answer on, and what is known of it when it is over."""

from __future__ import annotations

import asyncio
import time

from lora_tui.adapters.serving import wire
from lora_tui.adapters.serving.accounts import Ended
from lora_tui.adapters.serving.names import Resolved
from lora_tui.adapters.serving.reading import Reading, error_words
from lora_tui.adapters.serving.upstream import Response
from lora_tui.adapters.serving.wire import Malformed

_LOOK_AGAIN = "2"  # seconds, as Retry-After


class Passing:
    """What is known of one answer on its way."""

    def __init__(self, found: Resolved, stream: bool) -> None:
        self.found, self.status, self.error = found, 0, ""
        self.reading = Reading(stream=stream)

    def failed(self, writer: asyncio.StreamWriter, status: int, message: str) -> bool:
        """Nothing was answered yet: say why."""
        self.status, self.error = status, message
        return refuse(writer, status, message, "engine_error", retry=True)

    def ended(self, identity: str, arrived: float) -> Ended:
        """For the journal."""
        read = self.reading
        return Ended(
            id=identity,
            version=self.found.version,
            status=self.status,
            first=round(read.first - arrived, 6) if read.first is not None and self.status == 200 else None,
            seconds=round(time.monotonic() - arrived, 6),
            prompt_tokens=read.prompt_tokens,
            tokens=read.tokens,
            error=(self.error or read.error)[:300],
        )


async def relay(response: Response, passing: Passing, writer: asyncio.StreamWriter) -> bool:
    """Pass an answer on as it comes. Returns whether it is whole. ConnectionError: the client is gone."""
    head, read = response.head, passing.reading
    status = head.status
    kind = head.get("content-type") or wire.JSON
    evidence = f" ({passing.found.evidence})" if passing.found.evidence else ""
    told = [
        ("x-lora-tui-version", passing.found.version or passing.found.name),
        ("x-lora-tui-route", f"{passing.found.reason}{evidence}"),
    ]
    if status != 200 or not kind.startswith("text/event-stream"):
        try:
            body = await response.read()
        except (ConnectionError, Malformed) as error:
            return passing.failed(writer, 502, f"the engine broke off within its answer ({error}). Try again shortly.")
        passing.status = status
        if status == 200:
            read.feed(body)
            read.finish()
        else:
            passing.error = error_words(body)
        writer.write(wire.answer(status, body, kind, told))
        return True
    framing = [("content-type", kind), ("cache-control", "no-cache"), ("transfer-encoding", wire.CHUNKED)]
    begun = False
    try:
        async for data in response.chunks():
            if not begun:
                writer.write(wire.head("HTTP/1.1 200 OK", [*framing, *told]) + wire.chunk(data))
                begun, passing.status = True, 200
            else:
                writer.write(wire.chunk(data))
            read.feed(data)
            if writer.is_closing():
                raise ConnectionResetError("the client left")
            await writer.drain()
    except (ConnectionError, Malformed) as error:
        if writer.is_closing():
            raise ConnectionResetError("the client left") from error
        return _broken_off(passing, writer, begun, error)
    if not read.ended:
        return _broken_off(passing, writer, begun, ConnectionResetError("it ended without [DONE]"))
    writer.write(wire.LAST_CHUNK)
    return True


def _broken_off(passing: Passing, writer: asyncio.StreamWriter, begun: bool, error: Exception) -> bool:
    """An answer that ends in the middle is told so, in the stream, and its connection closed."""
    message = f"the engine broke off within its answer ({error}). Ask again."
    if not begun:
        return passing.failed(writer, 502, message)
    passing.status, passing.error = 0, message
    writer.write(wire.chunk(b"data: " + wire.error_body(502, message, "engine_error") + b"\n\n") + wire.LAST_CHUNK)
    return False


def refuse(
    writer: asyncio.StreamWriter, status: int, message: str, kind: str, code: str = "", *, retry: bool = False
) -> bool:
    """Answer with an error in OpenAI's words. Returns True: the connection may be used again."""
    headers = [("retry-after", _LOOK_AGAIN)] if retry else []
    writer.write(wire.answer(status, wire.error_body(status, message, kind, code), headers=headers))
    return True
