"""What a prompt is about that few or none of the examples mention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lora_tui.verify.lessons.pool import Pool
from lora_tui.verify.lessons.terms import Term, Words

_MOST = 4
_SHARE, _FEW = 50, 5  # few: one in fifty, five at most


def missing(
    terms: Sequence[Term],
    known: Mapping[Words, int],
    of: int,
    pool: Pool,
    language: str,
    weight: Mapping[Words, float],
) -> list[Term]:
    """The terms that at most a few of the `of` examples mention; what unlabelled examples mention comes first.

    A name that the prompt makes up is nothing to learn, nor is a plain word that nobody uses: they count only where
    the pool mentions them. A plain word must be missing altogether.
    """
    few = min(of // _SHARE, _FEW)
    lacking = [
        term for term in terms if known[term.words] <= (few if term.kind != "word" else 0) and not pool.is_common(term)
    ]
    absent = {term.words[0] for term in lacking if len(term.words) == 1}
    names = {term.words[0] for term in terms if term.kind in ("code", "name") and not term.own}
    open_ones = {term.words: pool.count(term, language, "") for term in lacking}

    def is_worth_saying(term: Term) -> bool:
        used = bool(open_ones[term.words] or pool.mentioning(term))
        if term.kind != "phrase":
            return used or not (term.own or term.kind == "word")
        both = set(term.words)
        if both <= absent:
            return used or bool(both & names)
        return not both & absent and open_ones[term.words] > 0  # else the word that is absent says it

    chosen = [term for term in lacking if is_worth_saying(term)]
    chosen.sort(key=lambda term: (not open_ones[term.words], -weight[term.words]))
    found: list[Term] = []
    covered: set[str] = set()
    for term in chosen:
        again = covered & set(term.words) if term.kind == "phrase" else set(term.words) <= covered
        if not again:
            covered |= set(term.words)
            found.append(term)
    return found[:_MOST]
