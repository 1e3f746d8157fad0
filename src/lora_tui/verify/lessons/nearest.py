"""Which examples are about what a prompt is about: BM25 over its telling terms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import log

from lora_tui.verify.lessons.learned import Learned
from lora_tui.verify.lessons.terms import Term, Words

_K, _B = 1.2, 0.5  # BM25's; a term counts once: an example that repeats a word is not nearer for it
_LEAST = 0.05  # of the weight: below, an example shares a word by chance


def weights(terms: Sequence[Term], frequency: Mapping[Words, int], texts: int) -> dict[Words, float]:
    """How much each term tells: BM25's inverse document frequency, times the term's own factor.

    frequency: of `texts` texts, how many mention it. A name that the prompt makes up tells nothing.
    """

    def weight(term: Term) -> float:
        number = frequency[term.words]
        return term.factor * log(1 + (texts - number + 0.5) / (number + 0.5)) if number or not term.own else 0.0

    return {term.words: weight(term) for term in terms}


def nearest(learned: Collection[Learned], weight: Mapping[Words, float], most: int) -> list[tuple[float, Learned]]:
    """The `most` nearest with the share of the weight they mention, the nearest first.

    Of two that mention the same the shorter one is nearer.
    """
    total = sum(weight.values())
    if not learned or not total:
        return []
    usual = max(1.0, sum(item.length for item in learned) / len(learned))
    scored = []
    for item in learned:
        share = sum(weight[words] for words in item.terms if words in weight) / total
        if share >= _LEAST:
            length = (_K + 1) / (1 + _K * (1 - _B + _B * item.length / usual))
            scored.append((share * length, share, item))
    scored.sort(key=lambda found: (-found[0], found[2].row, found[2].example))
    return [(share, item) for _, share, item in scored[:most]]


def telling(words: Collection[Words], terms: Sequence[Term], weight: Mapping[Words, float], most: int) -> list[str]:
    """Of these terms the ones that tell most, as they are written; a phrase stands for its words."""
    found: list[Term] = []
    for term in sorted((term for term in terms if term.words in words), key=lambda term: -weight[term.words]):
        if not any(set(term.words) <= set(other.words) for other in found):
            found = [other for other in found if not set(other.words) <= set(term.words)] + [term]
    return [term.text for term in found[:most]]
