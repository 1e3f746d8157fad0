"""Putting a conversation together from pieces: a model's answer with all its calls, each call's output, what follows.

Agents write a line per piece, and outputs of parallel calls in the order in which they end. A chat needs one assistant
message with its calls, then one output per call in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from lora_tui.sources.model import About, Message, Part, TextPart, ToolCall

INTERRUPTED = "[Tool execution was interrupted]"  # what opencode tells its model about a call that never ended

_BETWEEN = "\n\n"


class Said(msgspec.Struct, frozen=True):
    """A part of a user message, and whether the user typed it."""

    part: Part
    own: bool


def user_message(said: Iterable[Said], about: About) -> Message:
    """One user message; plain text where there is one text only. What is not the user's own is marked."""
    parts = list(said)
    synthetic = tuple(index for index, one in enumerate(parts) if not one.own and isinstance(one.part, TextPart))
    about = msgspec.structs.replace(about, synthetic=synthetic)
    if len(parts) == 1 and isinstance(parts[0].part, TextPart):
        return Message(role="user", content=parts[0].part.text, about=about)
    return Message(role="user", content=[one.part for one in parts], about=about)


class Steps:
    """Holds one answer until the next begins: give it the pieces in the order of the file, get whole messages."""

    def __init__(self) -> None:
        self._answer: _Answer | None = None
        self._after: list[Message] = []
        self._said: list[Said] = []
        self._said_about = About()

    @property
    def waiting(self) -> bool:
        """Whether the open answer has calls without an output."""
        return self._answer is not None and len(self._answer.results) < len(self._answer.calls)

    @property
    def joinable(self) -> bool:
        """Whether an answer is open and nothing has happened since but what belongs to it."""
        return self._answer is not None and not self._answer.results and not self._after and not self._said

    @property
    def spoken(self) -> bool:
        """Whether the open answer has text or calls."""
        return self._answer is not None and bool(self._answer.texts or self._answer.calls)

    def answer(self, key: str, about: About) -> Iterator[Message]:
        """Open the answer `key`, unless it is open; what came before it is complete."""
        if self._answer is not None and self._answer.key == key:
            return
        yield from self.close()
        self._answer = _Answer(key, about)

    def text(self, text: str) -> None:
        """Text of the open answer."""
        if self._answer is not None and text:
            self._answer.texts.append(text)

    def reasoning(self, text: str) -> None:
        """Reasoning of the open answer."""
        if self._answer is not None and text:
            self._answer.reasoning.append(text)

    def call(self, call: ToolCall) -> None:
        """A call of the open answer; the same call again is no second one."""
        if self._answer is not None:
            self._answer.calls.setdefault(call.id, call)

    def result(self, message: Message) -> bool:
        """The output of one of the open answer's calls; False when it made no such call."""
        if self._answer is None or message.tool_call_id not in self._answer.calls:
            return False
        self._answer.results[message.tool_call_id] = message
        return True

    def interrupted(self) -> None:
        """The user stopped the open answer."""
        if self._answer is not None:
            self._answer.about = msgspec.structs.replace(self._answer.about, interrupted=True)

    def say(self, said: Iterable[Said], about: About) -> None:
        """Parts of the user message that follows; what is said before the next answer is one message.

        `about` is that of the first part which the user typed.
        """
        for one in said:
            first_own = one.own and not any(before.own for before in self._said)
            if not self._said or first_own:
                self._said_about = about
            self._said.append(one)

    def add(self, message: Message) -> None:
        """A message by itself, after what came so far."""
        self._join_said()
        self._after.append(message)

    def close(self) -> Iterator[Message]:
        """Everything there is. A call that never ended is told as interrupted."""
        self._join_said()
        if self._answer is not None:
            yield from self._answer.messages()
        yield from self._after
        self._answer, self._after = None, []

    def _join_said(self) -> None:
        if self._said:
            self._after.append(user_message(self._said, self._said_about))
            self._said = []


class _Answer:
    def __init__(self, key: str, about: About) -> None:
        self.key = key
        self.about = about
        self.texts: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[str, ToolCall] = {}
        self.results: dict[str, Message] = {}

    def messages(self) -> Iterator[Message]:
        if not self.texts and not self.calls:
            return
        gone = len(self.results) < len(self.calls)
        yield Message(
            role="assistant",
            content=_BETWEEN.join(self.texts),
            reasoning_content=_BETWEEN.join(self.reasoning),
            tool_calls=list(self.calls.values()),
            about=msgspec.structs.replace(self.about, interrupted=True) if gone else self.about,
        )
        for call_id in self.calls:
            yield self.results.get(call_id) or Message(
                role="tool",
                content=INTERRUPTED,
                tool_call_id=call_id,
                about=About(
                    native_id=call_id,
                    created=self.about.created,
                    agent=self.about.agent,
                    error="error",
                    interrupted=True,
                ),
            )
