"""Where tokens begin and end, from how long each is: byte-level tokenizers then need not work out offsets.

The tokens of a byte-level BPE, put one after the other, are the bytes of the text. So the length of every entry of the
vocabulary tells where each token of a text lies, and `encode_batch_fast`, which gives ids alone, is enough. Where that
cannot be relied on (another kind of tokenizer, a text that is normalised), nothing is told and offsets are asked for.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from lora_tui.worker.mask import IGNORED, Span
from lora_tui.worker.words import words_of


class TokenEdges:
    """The length in bytes of every token of a byte-level tokenizer."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._words = words_of(backend)
        words = backend.get_vocab(with_added_tokens=False)
        added = backend.get_added_tokens_decoder()
        self._lengths = np.zeros(1 + max((*words.values(), *added)), dtype=np.int64)
        self._lengths[list(words.values())] = [len(word) for word in words]  # a character stands for a byte
        for token, word in added.items():
            self._lengths[token] = len(word.content.encode())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts that hold their special tokens already."""
        found = [self._words.encode(text) if self._words else None for text in texts]
        left = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        rest = iter(self._backend.encode_batch_fast(left, add_special_tokens=False))
        return [next(rest).ids if ids is None else ids for ids in found]

    def labels(self, text: str, ids: Sequence[int], spans: Sequence[Span]) -> list[int] | None:
        """`mask.labels` of the tokens of `text`; None where their lengths do not add up to it."""
        plain = text.isascii()
        if not plain and not unicodedata.is_normalized("NFC", text):
            return None
        ends = self._lengths[ids].cumsum()
        if not len(ends) or ends[-1] != (len(text) if plain else len(text.encode())):
            return None
        result = [IGNORED] * len(ids)
        for span in spans:
            start, end = span if plain else (len(text[:at].encode()) for at in span)
            first = int(ends.searchsorted(start, side="right"))
            last = int(ends.searchsorted(end, side="left")) + 1  # the token that reaches the end, or the one across it
            result[first:last] = ids[first:last]
        return result


def token_edges(backend: Any) -> TokenEdges | None:
    """None for a tokenizer whose tokens are not the text's bytes, or whose offsets leave out blanks."""
    model, normalizer = backend.model, backend.normalizer
    if type(model).__name__ != "BPE" or model.continuing_subword_prefix or model.end_of_word_suffix:
        return None
    if normalizer is not None and type(normalizer).__name__ != "NFC":
        return None
    before = list(_steps(backend.pre_tokenizer, "pretokenizers"))
    after = list(_steps(backend.post_processor, "processors"))
    by_bytes = any(step["type"] == "ByteLevel" and not step["add_prefix_space"] for step in before)
    trims = any(step.get("trim_offsets") for step in after)
    moves = any(step["type"] not in ("ByteLevel", "TemplateProcessing") for step in after)
    keeps_all = all(step.get("behavior") != "Removed" for step in before)
    return TokenEdges(backend) if by_bytes and keeps_all and not trims and not moves else None


def _steps(part: Any, inner: str) -> list[dict[str, Any]]:
    """What a part of a tokenizer is made of, as tokenizer.json has it."""
    if part is None:
        return []
    told = json.loads(part.__getstate__())
    return list(told[inner]) if told["type"] == "Sequence" else [told]
