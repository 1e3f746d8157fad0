"""What an answer says while it passes through: its first token, how many tokens, how it ended.

Chunks of OpenAI's streams; vLLM and llama.cpp differ in where they put what (both are read here).
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

_MOST = 8 << 20  # bytes of an answer that comes in one piece, of which the counts are read
Counted = Literal["usage", "timings", "pieces", ""]


class Usage(msgspec.Struct):
    """Tokens, as OpenAI counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Timings(msgspec.Struct):
    """llama.cpp's own count, in the last chunk."""

    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: Usage | None = None
    timings: _Timings | None = None
    error: Any = None


_DECODE = msgspec.json.Decoder(_Chunk).decode


class Reading:
    """Follows one answer; `counted` says where `tokens` is from, "pieces" being a stream's own pieces."""

    def __init__(self, *, stream: bool) -> None:
        self.first: float | None = None  # time.monotonic() of the first token of a stream
        self.prompt_tokens = self.tokens = 0
        self.counted: Counted = ""
        self.ended = False  # it said so itself
        self.error = ""
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """The next piece of the body."""
        if not self._stream:
            if len(self._rest) + len(data) <= _MOST:
                self._rest += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())

    def finish(self) -> None:
        """The body is complete."""
        if not self._stream and self._rest:
            self._event(self._rest)
            self.ended = not self.error

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            said = _DECODE(data)
        except msgspec.DecodeError:
            return
        if said.error:
            self.error = _words(said.error)
        for choice in said.choices:
            delta = choice.delta
            if choice.text or (
                delta and (delta.content or delta.reasoning or delta.reasoning_content or delta.tool_calls)
            ):
                if self.first is None:
                    self.first = time.monotonic()
                if self.counted in ("", "pieces"):
                    self.counted = "pieces"
                    self.tokens += 1
        if said.timings is not None and self.counted != "usage":
            self.counted, self.tokens = "timings", said.timings.predicted_n
            self.prompt_tokens = said.timings.prompt_n + said.timings.cache_n
        if said.usage is not None:
            self.counted, self.tokens = "usage", said.usage.completion_tokens
            self.prompt_tokens = said.usage.prompt_tokens


def _words(error: Any) -> str:
    said = error.get("message", error) if isinstance(error, dict) else error
    return str(said)[:300]


def error_words(body: bytes) -> str:
    """What an engine's error says: {"error": {"message"}}, {"error": ""}, {"detail"} or text. One line, at most 300."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        found = body.decode(errors="replace")
    if isinstance(found, dict):
        found = found.get("error", found.get("detail", found.get("message", found)))
    return " ".join(_words(found).split())
