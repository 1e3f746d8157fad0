"""One streamed answer as OpenAI's dialect tells it, and as the servers that speak it differ.

content may be null; chunks without choices carry the usage (vLLM, llama.cpp) or nothing; the end is called "stop", at
Together also "eos"; thinking comes as `reasoning` or `reasoning_content`; an error may come in the middle, as an
object or a word. Measured with vLLM 0.32 and llama.cpp b11549, read in Together's SDK 3.1 and Ollama 0.33.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.verify.endpoints.lines import Lines, TooLong

_STOPS = ("stop", "eos")


class Broken(Exception):
    """What came is no answer by any reading."""


class Said(Exception):
    """The server told of an error in the middle of its stream. `status`: as it numbers it; 0 where it does not."""

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(what)
        self.status = status


class Usage(msgspec.Struct):
    """Tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Timings(msgspec.Struct):
    """llama.cpp's, in the last chunk."""

    prompt_n: int = 0
    cache_n: int = 0
    predicted_n: int = 0
    predicted_ms: float = 0.0


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    timings: _Timings | None = None
    error: Any = None


_DECODE = msgspec.json.Decoder(_Chunk).decode


class Stream:
    """Follows one answer. What it knows is complete when `done`, or when the body is over and `end` was called."""

    def __init__(self, most_characters: int) -> None:
        self.model = ""  # that the chunks name
        self.finish = ""  # "" until the server says how it ended
        self.prompt_tokens = self.tokens = 0
        self.events = 0  # chunks that came
        self.pieces = 0  # of them that held text or thinking
        self.counted = True  # `tokens` is not told
        self.generating: float | None = None  # seconds
        self.done = False  # the server says that nothing follows
        self._characters = 0
        self._most = most_characters
        self._lines = Lines()

    def feed(self, data: bytes) -> str:
        """The text in the next piece of the body. Raises Broken, Said."""
        try:
            lines = self._lines.feed(data)
        except TooLong as error:
            raise Broken(str(error)) from error
        return self._read(lines)

    def end(self) -> str:
        """The body is over: the text of a last line that has no end. Raises Broken, Said."""
        rest = self._lines.last()
        return self._read([rest]) if rest else ""

    def _read(self, lines: list[bytes]) -> str:
        found = []
        for line in lines:
            if line.startswith(b"data:"):
                text = self._event(line[5:].strip())
                if text:
                    found.append(text)
            elif line.startswith(b"{"):
                self._no_event(line)
        return "".join(found)

    def _event(self, data: bytes) -> str:
        if data == b"[DONE]":
            self.done = True
            return ""
        try:
            chunk = _DECODE(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Broken(f"a chunk of its stream cannot be read: {error}") from error
        if chunk.error:
            raise _said(chunk.error)
        self.events += 1
        if chunk.model:
            self.model = chunk.model
        if chunk.timings is not None:
            self._timed(chunk.timings)
        if chunk.usage is not None:
            self._used(chunk.usage)
        return "".join([self._choice(choice) for choice in chunk.choices or () if not choice.index])

    def _choice(self, choice: _Choice) -> str:
        if choice.finish_reason:
            self.finish = "stop" if choice.finish_reason in _STOPS else choice.finish_reason
        delta = choice.delta
        if delta is None:
            return ""
        text = delta.content or ""
        if text or delta.reasoning or delta.reasoning_content:
            self.pieces += 1
            self._characters += len(text)
            if self._characters > self._most:
                raise Broken(f"the answer is longer than {self._most:,} characters and goes on")
            if self.counted:
                self.tokens += 1
        return text

    def _used(self, usage: Usage) -> None:
        if usage.prompt_tokens is not None:
            self.prompt_tokens = _number(usage.prompt_tokens)
        if usage.completion_tokens is not None and (usage.completion_tokens or not self.pieces):
            self.tokens, self.counted = _number(usage.completion_tokens), False

    def _timed(self, timings: _Timings) -> None:
        self.generating = timings.predicted_ms / 1000
        if self.counted:
            self.tokens, self.counted = _number(timings.predicted_n), False
            self.prompt_tokens = self.prompt_tokens or _number(timings.prompt_n + timings.cache_n)

    def _no_event(self, line: bytes) -> None:
        """A line of JSON outside of any event: some servers put their errors there."""
        try:
            chunk = _DECODE(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if chunk.error:
            raise _said(chunk.error)


def _number(value: int) -> int:
    if value < 0:
        raise Broken(f"it counts {value} tokens")
    return value


def _said(error: Any) -> Said:
    code = error.get("code") if isinstance(error, dict) else None
    words = error.get("message", error) if isinstance(error, dict) else error
    return Said(" ".join(str(words).split())[:300], code if isinstance(code, int) else 0)
