"""Session and Message: one shape for every source, equal to what the agent really sent to its model.

`Message` is an OpenAI chat message plus `about`: what the source knows of it, never sent and never trained on.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Origin = Literal["", "shell", "compaction", "subtask", "error"]


class Function(msgspec.Struct, frozen=True, gc=False):
    """The function part of a tool call; `arguments` is JSON text, byte for byte as the agent sent it."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """One structured tool call of an assistant message."""

    id: str
    function: Function
    type: Literal["function"] = "function"


class ImageUrl(msgspec.Struct, frozen=True):
    """A picture by URL; `data:` URLs carry the bytes."""

    url: str


class TextPart(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="text"):
    """A text part of a message with several parts."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag_field="type", tag="image_url"):
    """A picture in a message."""

    image_url: ImageUrl


class FileData(msgspec.Struct, frozen=True):
    """A file's name and its content as a `data:` URL."""

    filename: str
    file_data: str


class FilePart(msgspec.Struct, frozen=True, tag_field="type", tag="file"):
    """Another attached file (a PDF, say)."""

    file: FileData


Part = TextPart | ImagePart | FilePart


class About(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the source knows about a message. Not sent to the model, not trained on."""

    native_id: str = ""
    created: int = 0  # epoch milliseconds
    agent: str = ""
    model: str = ""  # 'provider/model' that wrote an assistant message
    synthetic: tuple[int, ...] = ()  # indices of content parts that are not the user's own words (0 for plain text)
    reverted: bool = False  # undone by the user afterwards
    origin: Origin = ""  # not an ordinary turn: a user's !command, a summary, a provider's error (never sent)
    error: str = ""  # a tool's or the provider's error, by name: 'error', 'invalid', 'MessageAbortedError', …
    exit: int | None = None  # a command's exit code
    interrupted: bool = False
    cleared: bool = False  # output removed from the model's context by pruning; the original stays in the source
    child: str = ""  # native id of the session a `task` call started
    diffs: tuple[str, ...] = ()  # files the turn changed, when the source says so
    commit: str = ""  # hash of the commit that was made of this answer, when the source says so
    weight: int | None = None  # a person's word on whether it is learned from (0 or 1); None: by rule
    context: bool = False  # of an earlier request, shown for context: never learned from


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One chat message."""

    role: Role
    content: str | list[Part] | None = None
    reasoning_content: str = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    about: About = About()


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded conversation, without its messages (they stream beside it)."""

    source: str
    native_id: str
    title: str
    directory: str
    created: int
    updated: int
    origin: str
    fingerprint: str
    agent: str = ""
    model: str = ""
    parent: str = ""
    version: str = ""
    licence: str = ""  # SPDX id of the code it came from, where known


def texts(message: Message) -> list[str]:
    """The text parts of a message, in order."""
    if message.content is None:
        return []
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content if isinstance(part, TextPart)]


def text_of(message: Message) -> str:
    """All text of a message as one string."""
    return "\n".join(texts(message))


def own_words(message: Message) -> str:
    """What the user typed themselves: the text parts that are not synthetic."""
    parts = [message.content] if isinstance(message.content, str) else (message.content or [])
    own = [
        part if isinstance(part, str) else part.text
        for index, part in enumerate(parts)
        if index not in message.about.synthetic and isinstance(part, str | TextPart)
    ]
    return "\n".join(own)


def as_sent(message: Message) -> dict[str, object]:
    """The message as it goes over the wire to a model: no `about`, tool calls only where there are some."""
    data: dict[str, object] = msgspec.to_builtins(message)
    data.pop("about", None)
    data.setdefault("content", None)
    return data
