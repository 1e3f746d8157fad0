"""What a judge said of pairs of answers: judgements.jsonl beside the report, which only grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from lora_tui.verify.judge.reading import Choice
from lora_tui.verify.reports import beside
from lora_tui.verify.votes import Pair, Vote
from lora_tui.workspace.layout import Workspace

_FILE = "judgements.jsonl"
_WORDS: dict[tuple[str, str], Literal["first", "second"]] = {("A", "B"): "first", ("B", "A"): "second"}


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pair, asked about in both orders. Verdicts that differ are a tie: it saw the order, not the answers.

    `forward` is its choice when `first` was called A, `backward` when `second` was.
    """

    prompt: int  # from 0, in the suite's order
    first: str  # sides, by their labels
    second: str
    judge: str  # the endpoint, as typed
    rubric: str
    first_sample: int = 0
    second_sample: int = 0
    about: str = ""  # the two texts, as `votes.about` names them
    engine: str = ""  # the judge's, as `asking.Identity` has the three
    model: str = ""
    digest: str = ""
    forward: Choice | None = None
    backward: Choice | None = None
    reasons: tuple[str, ...] = ()
    not_run: str = ""  # why it is not judged; then there is no choice
    time: float = 0.0  # epoch seconds

    @property
    def contradicts(self) -> bool:
        """Whether the two orders gave different verdicts."""
        return not self.not_run and self._choice is None and (self.forward, self.backward) != ("tie", "tie")

    @property
    def stayed(self) -> Choice | None:
        """The place it chose in both orders, whoever stood there: "A" the first, "B" the second."""
        return self.forward if self.forward == self.backward and self.forward in ("A", "B") else None

    @property
    def vote(self) -> Vote:
        """It as a vote, a tie where it contradicts itself."""
        return Vote(
            prompt=self.prompt,
            first=self.first,
            second=self.second,
            choice=self._choice or "equal",
            voter=self.judge,
            time=self.time,
            first_sample=self.first_sample,
            second_sample=self.second_sample,
            about=self.about,
        )

    @property
    def _choice(self) -> Literal["first", "second"] | None:
        return _WORDS.get((self.forward or "", self.backward or ""))


class Series(msgspec.Struct, frozen=True):
    """All that one judge said by one rubric, by prompt."""

    judge: str
    rubric: str
    judgements: tuple[Judgement, ...]


def write(workspace: Workspace, report_id: str, judgement: Judgement) -> None:
    """Write one down. Raises BadInput for a report that is not there."""
    beside.append(beside.path_of(workspace, report_id, _FILE), judgement)


def series(workspace: Workspace, report_id: str) -> list[Series]:
    """The judgements that hold by judge and rubric: the latest on each prompt and two sides."""
    found: dict[tuple[str, str], dict[tuple[int, frozenset[str]], Judgement]] = {}
    for item in beside.read(beside.path_of(workspace, report_id, _FILE), Judgement):
        known = found.setdefault((item.judge, item.rubric), {})
        key = (item.prompt, frozenset((item.first, item.second)))
        if not item.not_run or key not in known or known[key].not_run or known[key].about != item.about:
            known[key] = item
    return [
        Series(judge, rubric, tuple(sorted(items.values(), key=lambda item: item.prompt)))
        for (judge, rubric), items in found.items()
    ]


def missing(pairs: Iterable[Pair], done: Iterable[Judgement], digest: str) -> list[Pair]:
    """The pairs without a judgement on these very texts by these very weights, as far as they are known."""
    judged = {
        (item.prompt, frozenset((item.first, item.second)), item.about)
        for item in done
        if not item.not_run and item.digest == digest
    }
    return [pair for pair in pairs if (pair.prompt, pair.sides, pair.about) not in judged]
