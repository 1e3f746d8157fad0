"""Ids of ASCII texts word by word: code repeats its words, and each needs to be cut into tokens once.

A byte-level BPE cuts a text at its added tokens, then into words by a pattern, then each word by itself. The last step
is `tokenizers`' own; the first two are done here by `re`, which for ASCII takes a third of the time. Texts that are not
plain ASCII, and tokenizers that are built otherwise, are left to `tokenizers` whole.
"""

from __future__ import annotations

import json
import re
from typing import Any

_MOST_WORDS = 200_000  # remembered: about 30 MB
_PLAIN = re.compile(r"[\t\n\r -~]*")  # for these characters both pattern languages mean the same
_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{Lu}": "A-Z", r"\p{Ll}": "a-z"}
_SPLIT = {"behavior": "Isolated", "invert": False}


class Words:
    """A tokenizer's words and their ids, learned as they come."""

    def __init__(self, backend: Any, pattern: re.Pattern[str]) -> None:
        self._model = backend.model
        self._find = pattern.findall
        added = {word.content: token for token, word in backend.get_added_tokens_decoder().items()}
        by_length = sorted(added, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, by_length)) + ")").split if added else None
        self._added = {content: [token] for content, token in added.items()}
        self._ids: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int] | None:
        """The ids of a text that holds its special tokens already; None for one that is not plain ASCII."""
        if not _PLAIN.fullmatch(text):
            return None
        known = self._ids
        ids: list[int] = []
        for place, piece in enumerate(self._cut(text) if self._cut else (text,)):
            if place % 2:
                ids += self._added[piece]
                continue
            for word in self._find(piece):
                ids += known.get(word) or self._learn(word)
        return ids

    def _learn(self, word: str) -> list[int]:
        if len(self._ids) >= _MOST_WORDS:
            self._ids.clear()
        found = [token.id for token in self._model.tokenize(word.translate(_BYTE_LEVEL))]
        self._ids[word] = found
        return found


def words_of(backend: Any) -> Words | None:
    """None for a tokenizer whose words are not found by one pattern, or whose added tokens are more than their text."""
    steps = _steps(backend.pre_tokenizer)
    if [step["type"] for step in steps] != ["Split", "ByteLevel"]:
        return None
    split, by_bytes = steps
    plain = all(split.get(key) == value for key, value in _SPLIT.items()) and "Regex" in split["pattern"]
    if not plain or by_bytes["use_regex"] or by_bytes["add_prefix_space"]:
        return None
    for word in backend.get_added_tokens_decoder().values():
        if word.lstrip or word.rstrip or word.single_word or not word.content:
            return None
    pattern = _in_ascii(split["pattern"]["Regex"])
    return Words(backend, pattern) if pattern is not None else None


def _in_ascii(pattern: str) -> re.Pattern[str] | None:
    """The pattern for `re`, true for ASCII alone; None where it says more than this knows."""
    made, inside = [], False
    for piece in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        if piece in _CLASSES:
            made.append(_CLASSES[piece] if inside else f"[{_CLASSES[piece]}]")
            continue
        if piece.startswith((r"\p", r"\P")):
            return None
        inside = piece == "[" or (inside and piece != "]")
        made.append(piece)
    try:
        found = re.compile("".join(made), re.ASCII)
    except re.error:
        return None
    return found if not found.groups else None


def _steps(part: Any) -> list[dict[str, Any]]:
    if part is None:
        return []
    told = json.loads(part.__getstate__())
    return list(told["pretokenizers"]) if told["type"] == "Sequence" else [told]


# What byte-level tokenizers write for the ASCII bytes that are no printable characters.
_BYTE_LEVEL = {byte: chr(256 + byte) for byte in range(33)}
