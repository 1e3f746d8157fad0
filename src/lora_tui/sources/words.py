"""How many words a text has, also where a language writes none apart."""

from __future__ import annotations

import re

# Hiragana, katakana, Chinese characters: written without spaces; about two of them make a word.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def word_count(text: str) -> int:
    """Words between spaces; two characters of Chinese or Japanese count as one."""
    unspaced = len(_UNSPACED.findall(text))
    if not unspaced:
        return len(text.split())
    return len(_UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2
