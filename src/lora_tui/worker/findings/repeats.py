"""The same conversation more than once, and rows of languages that the specialist is not for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named

_ENCODER = msgspec.json.Encoder()


class Repeats:
    """Looks for the same messages in one split and in several."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}
        self._repeated = Named()
        self.across: list[tuple[str, str, str, str]] = []  # row, its split, the same elsewhere, its split

    def see(self, identity: str, split: str, content: bytes, copy: int) -> None:
        """A row as it stands in the file; `copy` is above 0 for a repetition that was asked for."""
        known = self._first.get(content)
        if known is None:
            self._first[content] = (identity, split)
        elif known[1] != split:
            self.across.append((*known, identity, split))
        elif not copy:
            self._repeated.add(identity)

    def findings(self) -> list[Finding]:
        """Repetitions that nobody asked for."""
        return self._repeated.finding(
            "warning",
            "duplicated-rows",
            "{rows} [says|say] what another row of the same split says, word for word: it counts twice",
            "Build the dataset again with a recipe; where repeating is meant, say so with data.repeat.",
        )


def content_of(messages: list[dict[str, Any]], tools: object) -> bytes:
    """A hash of what a row says."""
    return hashlib.blake2b(_ENCODER.encode((messages, tools)), digest_size=16).digest()


class Languages:
    """Looks for rows of other languages than the profile's; rows without one are general chats."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = frozenset(wanted)
        self._foreign = Named()
        self._found: Counter[str] = Counter()

    def see(self, identity: str, language: str) -> None:
        """A row of train."""
        if self._wanted and language and language not in self._wanted:
            self._found[language] += 1
            self._foreign.add(identity)

    def findings(self) -> list[Finding]:
        """What is there beside what the profile is for."""
        told = ", ".join(f"{count:,} {language}" for language, count in self._found.most_common(5))
        return self._foreign.finding(
            "warning",
            "language-mix",
            f"{{rows}} [is|are] of languages that the profile is not for: {told}",
            "Build with the profile's data.languages, or add the languages there.",
        )
