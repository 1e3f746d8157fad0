"""Secrets and personal data, replaced by typed placeholders before anything is shown, indexed or exported.

`<SECRET:github_pat:1>` says what stood there; the same value has the same number within one example. What was stored
stays as the source wrote it: redaction happens on the way out. The rules: rules/secrets.toml.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lora_tui.curation.redact_files import safe_file
from lora_tui.curation.redact_rules import Active, Rule, active
from lora_tui.curation.redact_scan import Hit, scan
from lora_tui.sources.model import FilePart, ImagePart, Message, Part, TextPart, ToolCall

BLOCKED = "private key"

_PLACEHOLDER = re.compile(r"<(?:SECRET|PII):([a-z0-9_]+):(\d+)>")
_REPEATED = 8  # characters that a secret has at least to be replaced also where nothing around it says what it is


class Redacted(msgspec.Struct, frozen=True):
    """Messages that may be shown, and what was replaced in them."""

    messages: list[Message]
    findings: dict[str, int]  # rule -> replaced
    blocked: str = ""  # the reason that keeps the example out altogether, if there is one


class Redactor:
    """Replaces what the rules find, message by message, with numbers that are stable within one example.

    A secret that was recognised once by what stood around it is replaced wherever it stands alone afterwards.
    """

    def __init__(self, off: frozenset[str] = frozenset(), repeated: dict[str, Rule] | None = None) -> None:
        """`repeated`: secrets that are known already; what is found here is put among them."""
        self.findings: Counter[str] = Counter()
        self.blocked = ""
        self.repeated = {} if repeated is None else repeated  # secrets seen so far, by their value
        self.secrets = 0  # how many were replaced so far; personal data is not counted
        self._rules: Active = active(off)
        self._numbers: dict[tuple[str, str], int] = {}
        self._highest: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """The text with placeholders."""
        secrets = -1
        while secrets != self.secrets:  # a placeholder may uncover what was glued to the secret
            secrets = self.secrets
            text = self._once(text)
        return text

    def _once(self, text: str) -> str:
        hits = scan(text, self._rules)
        if self.repeated:
            hits = self._with_repeated(text, hits)
        if not hits:
            return text
        there = list(_PLACEHOLDER.finditer(text))  # of an earlier redaction: their numbers are taken
        for found in there:
            self._highest[found[1]] = max(self._highest[found[1]], int(found[2]))
        hits = [cut for hit in hits if (cut := _beside(hit, there)) is not None] if there else hits
        pieces: list[str] = []
        end = 0
        for hit in hits:
            pieces += (text[end : hit.start], self._instead(hit.rule, text[hit.start : hit.end]))
            end = hit.end
        return "".join([*pieces, text[end:]])

    def message(self, message: Message) -> Message:
        """The message with placeholders in every text it carries; the very same one when nothing was found."""
        changed: dict[str, Any] = {}
        content = message.content
        if isinstance(content, str):
            if (safe := self.text(content)) != content:
                changed["content"] = safe
        elif content:
            parts = [self._part(part) for part in content]
            if any(new is not old for new, old in zip(parts, content, strict=True)):
                changed["content"] = parts
        if message.reasoning_content and (safe := self.text(message.reasoning_content)) != message.reasoning_content:
            changed["reasoning_content"] = safe
        if message.tool_calls:
            calls = [self._call(call) for call in message.tool_calls]
            if any(new is not old for new, old in zip(calls, message.tool_calls, strict=True)):
                changed["tool_calls"] = calls
        if message.about.diffs:
            diffs = tuple(self.text(path) for path in message.about.diffs)
            if diffs != message.about.diffs:
                changed["about"] = msgspec.structs.replace(message.about, diffs=diffs)
        return msgspec.structs.replace(message, **changed) if changed else message

    def _part(self, part: Part) -> Part:
        if isinstance(part, TextPart):
            safe = self.text(part.text)
            return part if safe == part.text else TextPart(safe)
        if isinstance(part, FilePart):
            return safe_file(part, self.text)
        if isinstance(part, ImagePart) and not part.image_url.url.startswith("data:"):
            safe = self.text(part.image_url.url)
            return part if safe == part.image_url.url else ImagePart(msgspec.structs.replace(part.image_url, url=safe))
        return part

    def _call(self, call: ToolCall) -> ToolCall:
        safe = self.arguments(call.function.arguments)
        if safe == call.function.arguments:
            return call
        return msgspec.structs.replace(call, function=msgspec.structs.replace(call.function, arguments=safe))

    def arguments(self, text: str) -> str:
        """A tool call's arguments: valid JSON stays valid JSON, and what holds nothing stays byte for byte."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        safe = self._value(data, "")
        encoded = text if safe == data else json.dumps(safe, ensure_ascii=False)
        return self.text(encoded)  # what only the whole shows: a name and its value

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, str):
            safe = self.text(value)
            return self._named(name, value) if safe == value and name else safe
        if isinstance(value, dict):
            return {self.text(key): self._value(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, name) for inner in value]
        return value

    def _named(self, name: str, value: str) -> str:
        """A value whose name says that it is a secret: `"api_key": value`."""
        if len(value) > 300 or "\n" in value or '"' in value or _PLACEHOLDER.search(value):
            return value
        intro = f'"{name}": "'
        for hit in scan(f'{intro}{value}"', self._rules):
            if hit.start == len(intro) and hit.end == len(intro) + len(value):
                return self._instead(hit.rule, value)
        return value

    def _with_repeated(self, text: str, hits: list[Hit]) -> list[Hit]:
        more: list[Hit] = []
        for value, rule in self.repeated.items():
            at = text.find(value)
            while at >= 0:
                end = at + len(value)
                if not any(hit.start < end and at < hit.end for hit in (*hits, *more)):
                    more.append(Hit(at, end, rule))
                at = text.find(value, end)
        return sorted([*hits, *more], key=lambda hit: hit.start) if more else hits

    def _instead(self, rule: Rule, value: str) -> str:
        self.findings[rule.id] += 1
        if rule.action == "replace":
            return rule.replacement
        if rule.action == "block":
            self.blocked = BLOCKED
        if rule.kind == "secret":
            self.secrets += 1
            if len(value) >= _REPEATED:
                self.repeated.setdefault(value, rule)
        number = self._numbers.get((rule.id, value))
        if number is None:
            number = self._highest[rule.id] = self._highest[rule.id] + 1
            self._numbers[rule.id, value] = number
        return f"<{'SECRET' if rule.kind == 'secret' else 'PII'}:{rule.id}:{number}>"


def _beside(hit: Hit, placeholders: list[re.Match[str]]) -> Hit | None:
    """What of a hit is no placeholder: `<SECRET:github_pat:10>` looks like the assignment of a secret itself."""
    at = bisect_right(placeholders, hit.start, key=re.Match.start)
    if at and hit.start < placeholders[at - 1].end():
        return None
    last = bisect_left(placeholders, hit.end, key=re.Match.start) - 1
    if last >= at and hit.end < placeholders[last].end():
        hit = hit._replace(end=placeholders[last].start())
    return hit if hit.end > hit.start else None


def redacted(
    messages: Iterable[Message], off: frozenset[str] = frozenset(), known: Mapping[str, Rule] | None = None
) -> Redacted:
    """One example's messages without secrets; `off`: the personal rules that are switched off.

    known: secrets by value that other parts of the conversation tell.
    """
    given = list(messages)
    redactor = Redactor(off, dict(known or {}))
    before = len(redactor.repeated)
    safe = [redactor.message(message) for message in given]
    if len(redactor.repeated) > before:  # what was recognised late may stand alone in an earlier message
        redactor = Redactor(off, redactor.repeated)
        safe = [redactor.message(message) for message in given]
    return Redacted(safe, dict(redactor.findings), redactor.blocked)


def redact_text(text: str, off: frozenset[str] = frozenset()) -> tuple[str, dict[str, int]]:
    """A text by itself, and what was found in it."""
    redactor = Redactor(off)
    return redactor.text(text), dict(redactor.findings)
