"""Which two answers are put beside each other for a blind comparison, and in which order; nothing betrays the sides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import combinations

import msgspec

from lora_tui.jobs.journal import Answer
from lora_tui.verify.reports.report import Outcome, Report


class Pair(msgspec.Struct, frozen=True):
    """Two answers to one prompt, as they are to be shown. `first` and `second` are labels of sides, to be hidden."""

    prompt: int  # from 0, in the suite's order
    first: str
    second: str
    first_sample: int
    second_sample: int
    question: str
    first_text: str
    second_text: str

    @property
    def sides(self) -> frozenset[str]:
        """Whose answers they are."""
        return frozenset((self.first, self.second))

    @property
    def about(self) -> str:
        """These two texts, in either order: asked again, a prompt has others, and an old vote is not about them."""
        return about(self.first_text, self.second_text)


def about(one: str, other: str) -> str:
    """A name for two texts in either order: 16 hexadecimal digits of SHA-256."""
    both = sorted(hashlib.sha256(text.encode()).hexdigest() for text in (one, other))
    return hashlib.sha256("".join(both).encode()).hexdigest()[:16]


def pairs(report: Report, voter: str) -> list[Pair]:
    """The pairs of a report for one voter, or judge: always the same ones in the same order for the same report.

    Prompts come in an order of this voter's own, and so do the two sides of each; with three or more sides every prompt
    comes once before any comes again. Which samples are compared is the same for all voters, so that their votes are
    about the same texts. Answers that could not be had, or that are the same word for word, are no pair.
    """
    found = []
    for prompt, outcome in enumerate(report.outcomes):
        drawn = sorted(
            combinations([side.label for side in report.sides], 2),
            key=lambda sides: _draw(report.id, voter, prompt, "turn", *sides),
        )
        turn = 0
        for one, other in drawn:
            two = _samples(report.id, prompt, outcome, one, other)
            if two is None:
                continue
            (first, a), (second, b) = (one, two[0]), (other, two[1])
            if int(_draw(report.id, voter, prompt, "side", one, other), 16) % 2:
                (first, a), (second, b) = (second, b), (first, a)
            pair = Pair(prompt, first, second, a.sample, b.sample, outcome.prompt, a.text, b.text)
            found.append((turn, _draw(report.id, voter, prompt, "order"), pair))
            turn += 1
    return [pair for *_, pair in sorted(found, key=lambda item: item[:2])]


def _samples(report_id: str, prompt: int, outcome: Outcome, one: str, other: str) -> tuple[Answer, Answer] | None:
    """Answers of the two sides that differ, drawn among samples of the same number."""
    able = list(_able(outcome, one, other))
    return min(able, key=lambda two: _draw(report_id, prompt, "sample", two[0].sample)) if able else None


def _able(outcome: Outcome, one: str, other: str) -> Iterator[tuple[Answer, Answer]]:
    others = {answer.sample: answer for answer in outcome.answers.get(other, ())}
    for answer in outcome.answers.get(one, ()):
        against = others.get(answer.sample)
        if against and not answer.error and not against.error and answer.text.strip() != against.text.strip():
            yield answer, against


def _draw(*parts: object) -> str:
    """A number that these parts always give, and that tells nothing of them."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
