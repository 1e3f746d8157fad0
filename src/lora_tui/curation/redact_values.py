"""What a value looks like: random, a stand-in, words joined together. Patterns cannot say this."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

from lora_tui.curation.redact_rules import words

_MASKED = re.compile(
    r"(?i)example|placeholder|change[_-]?me|your[_-]|dummy|redacted|x{6,}|\*{3,}|\.{3}|^(.)\1*$|<secret:|<pii:"
)
_WORD = re.compile(r"[A-Z]?[a-z]{3,}")
_CAPITALS = re.compile(r"[A-Z]{3,}")
_VOWELS = re.compile(r"[aeiouyAEIOUY]")
_SIGNS = re.compile(r"[!@#$%^&*?~]")


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(value)
    return -sum(number / size * math.log2(number / size) for number in Counter(value).values()) if size else 0.0


def masked(value: str) -> bool:
    """A stand-in such as `xxxxxx`, `...` or `your-key`. A long value may hold such a word by chance."""
    found = _MASKED.search(value)
    if found is None:
        return False
    by_chance = len(value) > 60 and len(found.group()) < 12 and found.group()[0] not in ".*xX<"
    return not by_chance


def usual(value: str) -> bool:
    """A password that every manual shows."""
    return value.lower() in words("usual_passwords")


def has_signs(value: str) -> bool:
    """Signs that people put into passwords."""
    return _SIGNS.search(value) is not None


def has_digit(value: str) -> bool:
    """Any digit."""
    return any(character.isdigit() for character in value)


def has_letter(value: str) -> bool:
    """Any letter."""
    return any(character.isalpha() for character in value)


def shuffled(value: str) -> bool:
    """Small letters and capitals in no order that a name would have."""
    changes = sum(a.islower() != b.islower() for a, b in pairwise(value))
    return changes * 5 >= len(value) and value != value.lower()


def is_words(value: str) -> bool:
    """Mostly words, with a digit here and there: `fetch_user_v2`, `AutoTokenizer3`."""
    digits = sum(character.isdigit() for character in value)
    if digits * 8 >= len(value):
        return False
    found = (_WORD if value != value.upper() else _CAPITALS).findall(value)
    wordy = sum(len(word) for word in found if len(_VOWELS.findall(word)) * 5 >= len(word))
    return wordy * 5 >= len(value) * 3


def mixed(value: str) -> bool:
    """Letters and digits, and not words joined by dashes or capitals."""
    return not masked(value) and has_digit(value) and has_letter(value) and not is_words(value)
