"""The filter of the example list: what the keys step through, and how it reads in one line."""

from __future__ import annotations

from typing import get_args

import msgspec

from lora_tui.curation.examples import Decision, Filter, Order

LABELS: tuple[Decision, ...] = ("any", "unlabelled", "accept", "reject", "skip", "flagged", "edited")
_LABEL_WORDS = {"any": "any label", "accept": "accepted", "reject": "rejected", "skip": "skipped"}
_RANGES: tuple[tuple[float, float, str], ...] = (
    (0.0, 1.0, "any conf."),
    (0.8, 1.0, "conf. ≥ .8"),
    (0.6, 0.8, "conf. .6–.8"),
    (0.0, 0.6, "conf. ≤ .6"),
)


class View(msgspec.Struct, frozen=True):
    """A filter and an order."""

    filter: Filter = Filter()
    order: Order = "recent"

    def next_label(self) -> View:
        """The next of LABELS."""
        place = LABELS.index(self.filter.decision) if self.filter.decision in LABELS else -1
        return self._with(decision=LABELS[(place + 1) % len(LABELS)])

    def next_confidence(self) -> View:
        """The next confidence range."""
        low, high, _ = _RANGES[(self._range() + 1) % len(_RANGES)]
        return self._with(min_confidence=low, max_confidence=high)

    def next_source(self, known: list[str]) -> View:
        """The next of the known sources, then any."""
        choices = ["", *known]
        now = self.filter.sources[0] if self.filter.sources else ""
        chosen = choices[(choices.index(now) + 1) % len(choices)] if now in choices else ""
        return self._with(sources=(chosen,) if chosen else ())

    def of_language(self, language: str) -> View:
        """Only this language; '' for any."""
        return self._with(languages=(language,) if language else ())

    def search(self, text: str) -> View:
        """Only what holds these words."""
        return self._with(text=text.strip())

    def next_order(self) -> View:
        """Newest first, or least certain first."""
        orders: tuple[Order, ...] = get_args(Order)
        return msgspec.structs.replace(self, order=orders[(orders.index(self.order) + 1) % len(orders)])

    def _with(self, **changes: object) -> View:
        return msgspec.structs.replace(self, filter=msgspec.structs.replace(self.filter, **changes))

    def _range(self) -> int:
        now = (self.filter.min_confidence, self.filter.max_confidence)
        return next((place for place, item in enumerate(_RANGES) if item[:2] == now), 0)

    def words(self) -> list[tuple[str, str, bool]]:
        """(action id, value, whether it narrows the list) for the filter line."""
        given = self.filter
        return [
            ("sessions.label_filter", _LABEL_WORDS.get(given.decision, given.decision), given.decision != "any"),
            ("sessions.language_filter", ", ".join(given.languages) or "any language", bool(given.languages)),
            ("sessions.source_filter", ", ".join(given.sources) or "any source", bool(given.sources)),
            ("sessions.confidence_filter", _RANGES[self._range()][2], self._range() != 0),
        ]
