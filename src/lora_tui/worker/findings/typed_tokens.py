"""Special tokens that somebody typed: the tokenizer takes them for the template's own, so turns begin and end there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named

# Families whose marks are plain text and no tokens: Llama 2 and the first Mistral.
_MARKS = re.compile(r"\[/?[A-Z_]{3,}\]|<</?SYS>>")


class TypedTokens:
    """Looks for special tokens in the texts of rows."""

    def __init__(self, tokenizer: Any) -> None:
        template = tokenizer.chat_template or ""
        source = template if isinstance(template, str) else "\n".join(template.values())
        special = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
        named = {tokenizer.bos_token, tokenizer.eos_token} - {None}
        self._turns = {token for token in special if token in source or token in named} | set(_MARKS.findall(source))
        known = sorted(special | self._turns, key=len, reverse=True)
        self._any = re.compile("|".join(map(re.escape, known))) if known else None
        self._starts = sorted({token[:2] for token in known})
        self._typed, self._harmless = Named(), Named()
        self._seen: dict[str, set[str]] = {"turns": set(), "others": set()}

    def see(self, identity: str, messages: list[dict[str, Any]]) -> None:
        """A row as it stands in the file."""
        if self._any is None:
            return
        for text in texts(messages):
            if not any(start in text for start in self._starts):
                continue
            found = set(self._any.findall(text))
            if turns := found & self._turns:
                self._seen["turns"] |= turns
                self._typed.add(identity)
            if others := found - self._turns:
                self._seen["others"] |= others
                self._harmless.add(identity)

    def findings(self) -> list[Finding]:
        """What structures turns is an error, any other special token a warning."""
        return self._typed.finding(
            "error",
            "special-tokens-in-text",
            f"{{rows}} [has|have] {_listed(self._seen['turns'])} typed in a text: the model would take it for "
            "the real end or beginning of a turn",
            "Edit or reject these examples and build again.",
        ) + self._harmless.finding(
            "warning",
            "special-tokens-typed",
            f"{{rows}} [has|have] {_listed(self._seen['others'])} typed in a text: it becomes one special token there",
            "Look at these rows; the base may give the token a meaning of its own.",
        )


def texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Every text of a row: contents, reasoning, arguments of tool calls."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif content:
            yield from (part["text"] for part in content if isinstance(part.get("text"), str))
        if reasoning := message.get("reasoning_content"):
            yield reasoning
        for call in message.get("tool_calls") or ():
            yield from _strings(call.get("function", {}).get("arguments"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _listed(tokens: set[str], most: int = 4) -> str:
    named = sorted(tokens)
    return ", ".join(named[:most]) + (" …" if len(named) > most else "")
