"""Which of some terms a text mentions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from lora_tui.verify.lessons.terms import Words, variants

_WORD = re.compile(r"\w+")
_BETWEEN = str.maketrans({chr(sign): " " for sign in range(128) if not _WORD.match(chr(sign))})


class Finder:
    """Looks for many terms at once; some 50 MB of code per second, whatever their number."""

    def __init__(self, wanted: Iterable[Words]) -> None:
        self._by_head: dict[str, list[tuple[tuple[str, ...], Words]]] = defaultdict(list)
        for words in dict.fromkeys(wanted):
            for variant in variants(words):
                self._by_head[variant[0]].append((variant, words))
        self._heads = frozenset(self._by_head)

    def of(self, text: str) -> tuple[frozenset[Words], int]:
        """The terms the text mentions, and its length in words."""
        text = text.lower()
        tokens = text.translate(_BETWEEN).split() if text.isascii() else _WORD.findall(text)  # ASCII: a third
        there = set(tokens)
        found: set[Words] = set()
        joined = ""
        for head in self._heads & there:
            for variant, words in self._by_head[head]:
                if len(variant) == 1:
                    found.add(words)
                elif words not in found and there.issuperset(variant):
                    joined = joined or f" {' '.join(tokens)} "
                    if f" {' '.join(variant)} " in joined:
                        found.add(words)
        return frozenset(found), len(tokens)
