"""Messages made shorter for training: outputs capped, line numbers, reminders, colours and pictures left out.

Tool output is three quarters of what sessions hold, and most of it teaches nothing. What the assistant wrote, and the
arguments of its calls, are never touched; neither are the user's own words, apart from pictures and data URLs in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from lora_tui.curation.actions import actions
from lora_tui.curation.line_numbers import without_line_numbers
from lora_tui.sources.model import Message, Part, TextPart

_REMINDER, _REMINDER_END = "<system-reminder>", "</system-reminder>"
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_DATA_URL = re.compile(r"\bdata:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,([A-Za-z0-9+/=_-]{64,})")
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/=_-])(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])"
    r"(?:[A-Za-z0-9+/]{60,}(?:\r?\n|\\n)?){4,}={0,2}(?![A-Za-z0-9+/=_-])"
)

_PICTURE = "[picture left out]"
_FILE = "[attached file left out]"
_CUT_NEAR = 5  # a cut moves to a line's end when one is within a fifth of the piece


def trimmed(messages: Sequence[Message], cap: int = 2_000) -> list[Message]:
    """The messages with tool outputs of at most `cap` characters each, marker included.

    A message that needs no change is the very same one. `cap` 0: outputs keep their length.
    """
    reads: set[str] = set()
    short: list[Message] = []
    for message in messages:
        if message.role == "assistant":
            reads.difference_update(call.id for call in message.tool_calls)
            done = zip(message.tool_calls, actions(message), strict=True)
            reads.update(call.id for call, one in done if one.kind in ("read", "command"))
            short.append(message)
        elif message.role == "system":
            short.append(message)
        else:
            read = message.role == "user" or message.tool_call_id in reads
            content = _content(message, cap, read)
            short.append(message if content == message.content else msgspec.structs.replace(message, content=content))
    return short


def capped(text: str, cap: int) -> str:
    """The first and the last part of a text that is longer than `cap`, and between them how much was left out."""
    if cap <= 0 or len(text) <= cap:
        return text
    room = max(cap - len(_marker(len(text))), 0)
    head, tail = text[: room - room // 2], text[len(text) - room // 2 :]
    end = head.rfind("\n") + 1
    if len(head) - end <= len(head) // _CUT_NEAR:
        head = head[: end - 1] if end else head
    start = tail.find("\n") + 1
    if 0 < start <= len(tail) // _CUT_NEAR:
        tail = tail[start:]
    marker = _marker(len(text) - len(head) - len(tail))
    return f"{head}{marker}{tail}"[:cap]


def _content(message: Message, cap: int, read: bool) -> str | list[Part] | None:
    """Shorter content. Parts are replaced one by one, so that `about.synthetic` still points at the same ones."""
    own = message.role == "user"
    if message.content is None:
        return None
    if isinstance(message.content, str):
        return _text(message.content, own and 0 not in message.about.synthetic, cap, read)
    parts: list[Part] = []
    for index, part in enumerate(message.content):
        if isinstance(part, TextPart):
            text = _text(part.text, own and index not in message.about.synthetic, cap, read)
            parts.append(part if text == part.text else TextPart(text))
        else:
            parts.append(TextPart(_PICTURE if part.__class__.__name__ == "ImagePart" else _FILE))
    return parts


def _text(text: str, own_words: bool, cap: int, read: bool) -> str:
    if _REMINDER in text:
        text = _without_reminders(text)
    if ";base64," in text:
        text = _DATA_URL.sub(lambda found: f"[data URL of {len(found[0]):,} characters left out]", text)
    if own_words:
        return text
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if len(text) >= 240:
        text = _BASE64.sub(lambda found: f"[{len(found[0]):,} characters of base64 left out]", text)
    return capped(without_line_numbers(text) if read else text, cap)


def _without_reminders(text: str) -> str:
    """The text without what a program reminded the model of; one that is never closed is the text's own."""
    kept: list[str] = []
    position = 0
    while (start := text.find(_REMINDER, position)) >= 0 and (end := text.find(_REMINDER_END, start)) >= 0:
        kept.append(text[position:start])
        position = end + len(_REMINDER_END)
    if not kept:
        return text
    kept.append(text[position:])
    return "\n".join(stripped for piece in kept if (stripped := piece.strip("\n")))


def _marker(left_out: int) -> str:
    return f"\n[… {left_out:,} characters left out …]\n"
