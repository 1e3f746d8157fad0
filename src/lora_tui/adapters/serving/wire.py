"""HTTP/1.1 on asyncio streams, as much of it as a proxy on loopback needs (RFC 9112).

httpx on h11 was measured against it (benchmarks/router.py): 2.6 times the CPU for a streamed answer, the engine's share
included, and 40 clients that ask together wait for each other's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable

import msgspec

MOST_HEAD = 64 << 10  # bytes
MOST_BODY = 64 << 20  # bytes of a request; a context of a million tokens is about 4 MB
END = b"\r\n\r\n"  # of a head
CHUNKED, JSON = "chunked", "application/json"
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,16}")
_LENGTH = re.compile(r"[0-9]{1,18}")
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Malformed(Exception):
    """What came is no HTTP/1.1. `status`: what to answer."""

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.status = status


class Head(msgspec.Struct, frozen=True):
    """The first line's three words, and the headers with names in lower case."""

    words: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """A header's value; "" where there is none. Names in lower case."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.words[1])

    @property
    def keeps_open(self) -> bool:
        """Whether the connection may be used again."""
        version = self.words[0] if self.words[0].startswith("HTTP/") else self.words[2]
        said = self.get("connection").lower()
        return said == "keep-alive" if version == "HTTP/1.0" else said != "close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None where the connection ends before one. Raises Malformed, and ConnectionError in the middle."""
    try:
        data = await reader.readuntil(END)
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise ConnectionResetError("the connection ended within a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Malformed("the head is too long", 431) from error
    first, *lines = data[:-4].decode("latin-1").lstrip("\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(words) == 2 and words[0].startswith("HTTP/"):
        words.append("")
    if len(words) != 3 or not (words[0].startswith("HTTP/1.") or words[2].startswith("HTTP/1.")):
        raise Malformed("the first line is not one of HTTP/1.1")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(f"not a header: {line[:80]!r}")
        headers.append((name.lower(), value.strip()))
    return Head((words[0], words[1], words[2]), tuple(headers))


async def chunks(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    """A response's body in pieces as they come, without its framing.

    Raises Malformed; ConnectionError where it breaks off.
    """
    if is_chunked(head):
        framing = _Framing()
        while not framing.ended:
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionResetError("the connection ended within a body")
            if body := framing.feed(data):
                yield body
    elif head.get("content-length"):
        left = _length(head)
        while left:
            data = await reader.read(min(left, 1 << 16))
            if not data:
                raise ConnectionResetError("the connection ended within a body")
            left -= len(data)
            yield data
    elif head.status not in (204, 304):
        while data := await reader.read(1 << 16):
            yield data


def is_chunked(head: Head) -> bool:
    """Whether a body comes in pieces that say how long they are."""
    return head.get("transfer-encoding").lower() == CHUNKED


def _length(head: Head) -> int:
    said = head.get("content-length") or "0"
    if not _LENGTH.fullmatch(said):
        raise Malformed("content-length is no number")
    return int(said)


def is_delimited(head: Head) -> bool:
    """Whether a response's end can be told without closing the connection."""
    return bool(head.get("content-length")) or is_chunked(head)


async def read_body(reader: asyncio.StreamReader, head: Head, most: int = MOST_BODY) -> bytes:
    """A request's whole body, and nothing of the request behind it. Raises Malformed, ConnectionError."""
    parts, total = [], 0
    try:
        if not is_chunked(head):
            _refuse_longer(_length(head), most)
            return await reader.readexactly(_length(head))
        while size := _size((await reader.readuntil(b"\r\n"))[:-2]):
            total += size
            _refuse_longer(total, most)
            parts.append(await reader.readexactly(size))
            if await reader.readexactly(2) != b"\r\n":
                raise Malformed("a chunk is longer than it said")
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the connection ended within a body") from error
    except asyncio.LimitOverrunError as error:
        raise Malformed("a line within the body is too long") from error
    return b"".join(parts)


def _refuse_longer(size: int, most: int) -> None:
    if size > most:
        raise Malformed(f"the body is longer than {most >> 20} MiB", 413)


class _Framing:
    """Takes the framing off a chunked body; what came together stays together, for one write to the other side."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""
        self._trailing = False

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in what came. Raises Malformed."""
        data, found, place = self._rest + data, [], 0
        while True:
            end = data.find(b"\r\n", place)
            if end < 0:
                break
            if self._trailing:
                self.ended = end == place
                place = end + 2
                if self.ended:
                    break
                continue
            size = _size(data[place:end])
            if size == 0:
                self._trailing, place = True, end + 2
                continue
            if len(data) < end + 4 + size:
                break
            found.append(data[end + 2 : end + 2 + size])
            place = end + 4 + size
        self._rest = data[place:]
        if len(self._rest) > MOST_BODY:
            raise Malformed("a chunk is too long")
        return b"".join(found)


def _size(line: bytes) -> int:
    said = line.split(b";", 1)[0].strip()
    if not _HEXADECIMAL.fullmatch(said):
        raise Malformed("not a chunk's size")
    return int(said, 16)


def head(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A head as bytes; line breaks in a value are left out."""
    lines = [first, *(f"{name}: {' '.join(value.splitlines())}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def answer(status: int, body: bytes, kind: str = JSON, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A whole response."""
    known = [("content-type", kind), ("content-length", str(len(body))), *headers]
    return head(f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", known) + body


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def error_body(status: int, message: str, kind: str, code: str = "") -> bytes:
    """An error as OpenAI's API words it."""
    return msgspec.json.encode(
        {"error": {"message": message, "type": kind, "param": None, "code": code or str(status)}}
    )
