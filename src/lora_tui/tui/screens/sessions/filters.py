"""The filter of the example list: what the keys step through, and how it reads in one line."""

from __future__ import annotations

from typing import Literal

import msgspec

from lora_tui.curation.examples import Decision, Filter, Order

Step = Literal["label", "confidence"]

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

    def next(self, step: Step) -> View:
        """The next label of LABELS, or the next confidence range."""
        if step == "confidence":
            low, high, _ = _RANGES[(self._range() + 1) % len(_RANGES)]
            return self.narrowed(min_confidence=low, max_confidence=high)
        place = LABELS.index(self.filter.decision) if self.filter.decision in LABELS else -1
        return self.narrowed(decision=LABELS[(place + 1) % len(LABELS)])

    def next_source(self, known: list[str]) -> View:
        """The next of the known sources, then any."""
        choices = ["", *known]
        now = self.filter.sources[0] if self.filter.sources else ""
        chosen = choices[(choices.index(now) + 1) % len(choices)] if now in choices else ""
        return self.narrowed(sources=(chosen,) if chosen else ())

    def of_language(self, language: str) -> View:
        """Only this language; '' for any."""
        return self.narrowed(languages=(language,) if language else ())

    def search(self, text: str) -> View:
        """Only what holds these words."""
        return self.narrowed(text=text.strip())

    def narrowed(self, **changes: object) -> View:
        """With other conditions."""
        return msgspec.structs.replace(self, filter=msgspec.structs.replace(self.filter, **changes))

    def in_order(self, order: Order) -> View:
        """In another order."""
        return msgspec.structs.replace(self, order=order)

    def _range(self) -> int:
        now = (self.filter.min_confidence, self.filter.max_confidence)
        return next((place for place, item in enumerate(_RANGES) if item[:2] == now), 0)

    def words(self) -> list[tuple[str, str, bool]]:
        """(action id, value, whether it narrows the list) for the filter line."""
        given = self.filter
        return [
            ("sessions.label_filter", _LABEL_WORDS.get(given.decision, given.decision), given.decision != "any"),
            ("sessions.language_filter", ", ".join(given.languages) or "any language", bool(given.languages)),
            *(("sessions.facet_filter", word, True) for word in self._rarer()),
            ("sessions.source_filter", ", ".join(given.sources) or "any source", bool(given.sources)),
            ("sessions.confidence_filter", _RANGES[self._range()][2], self._range() != 0),
        ]

    def _rarer(self) -> list[str]:
        """The conditions without a key of their own."""
        given = self.filter
        words = [
            *given.outcomes,
            *(model.rpartition("/")[2] for model in given.models),
            *(f"@{agent}" for agent in given.agents),
            *(f"#{tag}" for tag in given.tags),
            *given.licences,
        ]
        words += ["noted"] * given.has_note + ["with secrets"] * given.secrets + ["disagreeing"] * given.disagree
        words += ["with near-duplicates"] * given.near_duplicates
        words += [f"like example {given.cluster}"] if given.cluster else []
        words += [f"in {given.directory}"] if given.directory else []
        words += [f"dropped: {given.dropped}"] if given.dropped else []
        return words
