"""Secrets and personal data, replaced by typed placeholders before anything is shown, indexed or exported.

`<SECRET:github_pat:1>` says what stood there; the same value has the same number within one example. What was stored
stays as the source wrote it: redaction happens on the way out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from lora_tui.sources.model import Message

VERSION = 1

_FIRST = re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b")


class Redacted(msgspec.Struct, frozen=True):
    """Messages that may be shown, and what was replaced in them."""

    messages: list[Message]
    findings: dict[str, int]  # rule -> replaced
    blocked: str = ""  # the rule that keeps the example out altogether, if one does


class Redactor:
    """Replaces what the rules find, message by message, with numbers that are stable within one example."""

    def __init__(self) -> None:
        self.findings: Counter[str] = Counter()
        self.blocked = ""
        self._numbers: dict[tuple[str, str], int] = {}

    @property
    def secrets(self) -> int:
        """How many secrets were replaced so far; personal data is not counted."""
        return self.findings.total()

    def text(self, text: str) -> str:
        """The text with placeholders."""
        return _FIRST.sub(lambda found: self._placeholder("github_pat", found.group(0)), text)

    def message(self, message: Message) -> Message:
        """The message with placeholders in every text it carries; the very same one when nothing was found."""
        if isinstance(message.content, str):
            safe = self.text(message.content)
            if safe != message.content:
                return msgspec.structs.replace(message, content=safe)
        return message

    def _placeholder(self, rule: str, value: str) -> str:
        self.findings[rule] += 1
        number = self._numbers.setdefault((rule, value), 1 + sum(known == rule for known, _ in self._numbers))
        return f"<SECRET:{rule}:{number}>"


def redacted(messages: Iterable[Message]) -> Redacted:
    """One example's messages without secrets."""
    redactor = Redactor()
    safe = [redactor.message(message) for message in messages]
    return Redacted(safe, dict(redactor.findings), redactor.blocked)


def redact_text(text: str) -> tuple[str, dict[str, int]]:
    """A text by itself, and what was found in it."""
    redactor = Redactor()
    return redactor.text(text), dict(redactor.findings)
