"""How many rows of each language a split wants, and still lacks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

NEEDED = 20  # test rows of a language to tell anything by
COMMON = 100  # rows of a language that has so many test rows whatever the share

_RARE = "\0rare"  # languages without a whole row of their own share what they would have


class Balance:
    """Counts down what one split lacks.

    rows: of each language, in all splits. share: percent. floor: whether common languages get NEEDED rows at least.
    """

    def __init__(self, rows: Mapping[str, int], share: int, floor: bool) -> None:
        self._stratum: dict[str, str] = {}
        self._short: dict[str, float] = defaultdict(float)
        for language, number in rows.items():
            least = NEEDED if floor and number >= COMMON else 0
            self._stratum[language] = language if number * share >= 100 else _RARE
            self._short[self._stratum[language]] += max(number * share / 100, least)
        if 0 < (total := sum(self._short.values())) < 1:
            self._short = {_RARE: self._short[_RARE] + 1 - total}
        self._wanted = dict(self._short)

    def helps(self, languages: Mapping[str, int], among: Collection[str] | None = None) -> bool:
        """Whether the split comes no further from what is wanted with these rows, and nearer in some language.

        among: what to come nearer in, as `missing` names it; None: anything.
        """
        rows = self._by_stratum(languages)
        if not any(self._short[name] > 0 and (among is None or name in among) for name in rows):
            return False
        before = sum(abs(self._short[name]) for name in rows)
        return sum(abs(self._short[name] - number) for name, number in rows.items()) <= before + 1e-9

    def take(self, languages: Mapping[str, int]) -> None:
        """Count rows in."""
        for name, number in self._by_stratum(languages).items():
            self._short[name] -= number

    def missing(self) -> frozenset[str]:
        """In what more than half is missing: names of languages, or of the rare ones together."""
        return frozenset(name for name, short in self._short.items() if short > self._wanted[name] / 2)

    @property
    def mostly_missing(self) -> bool:
        """Whether more than half is missing altogether."""
        return sum(self._short.values()) > sum(self._wanted.values()) / 2

    def _by_stratum(self, languages: Mapping[str, int]) -> Counter[str]:
        found: Counter[str] = Counter()
        for language, number in languages.items():
            found[self._stratum[language]] += number
        return found
