"""Which undecided examples might teach what is missing, and which of them would give the test away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from lora_tui.curation import examples, reading
from lora_tui.curation.suites import Contact, texts
from lora_tui.dataset.contamination import Prompts
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Message, own_words, text_of
from lora_tui.verify.lessons.lesson import Candidate, Failing, TooAlike
from lora_tui.verify.lessons.nearest import telling
from lora_tui.verify.lessons.pool import Held, Pool
from lora_tui.verify.lessons.terms import Term, Words
from lora_tui.workspace.layout import Workspace

MOST = 5  # of one prompt
_TRIED = 15  # the best ones that are read
_NAMED = 3  # terms of a reason
_LEAST = 0.3  # of what the prompt is about, where nothing that is missing is mentioned
_ALIKE = 0.4  # of what a prompt is about: what mentions less does not ask the same
_MISSING = 2.0  # times: a term that is missing
_OUTCOMES = {"success": 1.0, "unknown": 0.9, "complained": 0.6, "failed": 0.4}


class Rated(msgspec.Struct, frozen=True):
    """An undecided example before it was read."""

    held: Held
    share: float  # of what the prompt is about
    score: float
    words: tuple[Words, ...]


def rated(
    terms: Sequence[Term], lacking: Collection[Words], weight: Mapping[Words, float], pool: Pool, language: str
) -> list[Rated]:
    """The undecided examples of the language that mention what is missing, or much of the prompt; the best first.

    Of near-duplicates only the best one. One whose work went well counts more than one that failed.
    """
    total = sum(weight.values())
    shares: dict[Held, float] = defaultdict(float)
    extra: dict[Held, float] = defaultdict(float)
    words: dict[Held, list[Words]] = defaultdict(list)
    for term in terms if total else ():
        if pool.is_common(term):
            continue
        part = weight[term.words] / total
        more = (_MISSING - 1) * part if term.words in lacking else 0.0
        for held in pool.undecided(term, language):
            shares[held] += part
            words[held].append(term.words)
            if more:
                extra[held] += more
    scored = [
        Rated(held, share, (share + extra.get(held, 0.0)) * _OUTCOMES.get(held.outcome, 0.9), tuple(words[held]))
        for held, share in shares.items()
        if held in extra or share >= _LEAST
    ]
    scored.sort(key=lambda item: (-item.score, -item.held.id))
    best: dict[int, Rated] = {}
    for item in scored:
        best.setdefault(item.held.cluster or -item.held.id, item)
    return list(best.values())


class Proposing:
    """Reads the rated examples and holds them against the suites; each is read once."""

    def __init__(self, workspace: Workspace, suite: str, prompts: Sequence[str]) -> None:
        """prompts: of the suite, wherever its file is."""
        self._workspace = workspace
        self._suite = suite
        self._prompts = Prompts((*texts(workspace), *((suite, prompt) for prompt in prompts)))
        self._contacts: dict[int, Contact | None] = {}

    def too_alike(self, among: Sequence[Rated]) -> tuple[TooAlike, ...]:
        """Of the first of these the ones that are too much like a suite: what asks the same mentions the same."""
        tried = [item.held.id for item in among[:_TRIED] if item.share >= _ALIKE]
        return tuple(
            TooAlike(row.id, row.request, contact.suite, _how(contact))
            for row in examples.rows(self._workspace, tried)
            if (contact := self._contact(row.id)) is not None
        )

    def of(
        self,
        failing: Failing,
        terms: Sequence[Term],
        lacking: Collection[Words],
        weight: Mapping[Words, float],
        among: Sequence[Rated],
    ) -> tuple[Candidate, ...]:
        """The candidates of one prompt; what a reason names first is what is missing."""
        tried = among[:_TRIED]
        rows = {row.id: row for row in examples.rows(self._workspace, [item.held.id for item in tried])}
        telling_more = {words: one * (_MISSING if words in lacking else 1) for words, one in weight.items()}
        taken: list[Candidate] = []
        for item in tried:
            row = rows.get(item.held.id)
            if row is None or self._contact(row.id):  # gone meanwhile; or like another suite's prompt
                continue
            mentions = tuple(telling(item.words, terms, telling_more, _NAMED))
            reason = f"for prompt {failing.number} of {self._suite}: mentions {', '.join(mentions)}"
            taken.append(Candidate(row.id, row.request, row.language, round(item.score, 4), mentions, reason))
            if len(taken) == MOST:
                break
        return tuple(taken)

    def _contact(self, identity: int) -> Contact | None:
        if identity not in self._contacts:
            self._contacts[identity] = self._prompts.like(_row(reading.unredacted(self._workspace, identity)))
        return self._contacts[identity]


def merged(lessons: Sequence[Sequence[Candidate]]) -> dict[int, str]:
    """{example: reason} of several prompts' candidates: first the best of each, and of those what helps with most."""
    place: dict[int, int] = {}
    best: dict[int, float] = defaultdict(float)
    reasons: dict[int, list[str]] = defaultdict(list)
    for candidates in lessons:
        for number, item in enumerate(candidates):
            place[item.example] = min(number, place.get(item.example, number))
            best[item.example] = max(item.score, best[item.example])
            reasons[item.example].append(item.reason)
    order = sorted(place, key=lambda one: (place[one], -len(reasons[one]), -best[one], one))
    return {identity: "; ".join(reasons[identity]) for identity in order}


def _row(messages: Sequence[Message]) -> Row:
    """The example as the check of a dataset reads it."""
    kept = [message for message in messages if message.role in ("user", "assistant")]
    return Row(
        id="",
        messages=[
            RowMessage(
                role=message.role,
                content=own_words(message) if message.role == "user" else text_of(message),
                tool_calls=message.tool_calls,
            )
            for message in kept
        ],
    )


def _how(contact: Contact) -> str:
    asked = " ".join(contact.prompt.split())[:60]
    if contact.kind == "same":
        return f"asks the same as “{asked}”"
    part = "of the 13-token runs" if contact.kind == "runs" else "alike in five-token shingles"
    return f"{contact.value:.0%} {part}, with “{asked}”"
