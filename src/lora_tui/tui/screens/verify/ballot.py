"""One voter's blind votes on a report: which pairs there are, and what was said of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lora_tui.verify import votes
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Choice, Pair, Tally, Vote
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


class Ballot(msgspec.Struct, frozen=True):
    """Every pair in the order it is shown in, with the votes on them."""

    report: Report
    voter: str
    pairs: tuple[Pair, ...]
    given: Mapping[int, Choice]  # by the pair's place

    @property
    def complete(self) -> bool:
        """Whether every pair was voted on."""
        return len(self.given) == len(self.pairs)

    def open(self, after: int) -> int:
        """The place of the next pair without a vote, from the beginning again after the last; else `after`."""
        places = [*range(after + 1, len(self.pairs)), *range(after + 1)]
        return next((place for place in places if place not in self.given), after)

    def voted(self, place: int, choice: Choice) -> Ballot:
        """With one more vote."""
        return msgspec.structs.replace(self, given={**self.given, place: choice})

    def place_of(self, vote: Vote) -> int:
        """Where the pair is that a vote is about; the first where there is none any more."""
        found = (
            place for place, pair in enumerate(self.pairs) if (pair.prompt, pair.sides) == (vote.prompt, vote.sides)
        )
        return next(found, 0)


def read(workspace: Workspace, report: Report, voter: str) -> Ballot:
    """The ballot as it stands. Raises BadInput where no two answers differ."""
    pairs = votes.pairs(report, voter)
    if not pairs:
        raise BadInput("no two answers differ: there is nothing to vote on", where=report.id)
    own = {
        (vote.prompt, vote.sides, vote.about): vote for vote in votes.votes(workspace, report.id) if vote.voter == voter
    }
    given: dict[int, Choice] = {}
    for place, pair in enumerate(pairs):
        vote = own.get((pair.prompt, pair.sides, pair.about))
        if vote is not None:
            given[place] = _as_shown(vote, pair)
    return Ballot(report, voter, tuple(pairs), given)


def count(workspace: Workspace, report: Report) -> Tally:
    """What all votes on the report come to."""
    return votes.tally(report, votes.votes(workspace, report.id))


def _as_shown(vote: Vote, pair: Pair) -> Choice:
    """A vote in the order the pair is shown in."""
    if vote.first == pair.first or not vote.preferred:
        return vote.choice
    return "second" if vote.choice == "first" else "first"
