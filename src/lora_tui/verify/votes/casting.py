"""People's votes between two blind answers: votes.jsonl beside the report only grows, nothing in it is changed."""

from __future__ import annotations

import secrets
import time as clock
from typing import Literal

import msgspec

from lora_tui.verify.reports import beside
from lora_tui.verify.votes.pairing import Pair
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

Choice = Literal["first", "second", "equal", "bad"]  # equal: both are as good; bad: neither is any
_FILE = "votes.jsonl"


class Vote(msgspec.Struct, frozen=True, tag="vote", tag_field="type"):
    """What one person thinks of two answers to a prompt, without knowing whose they were."""

    prompt: int  # from 0, in the suite's order
    first: str  # the side whose answer was shown first, by its label
    second: str
    choice: Choice
    voter: str
    time: float = 0.0  # epoch seconds; filled in by `cast`
    first_sample: int = 0
    second_sample: int = 0
    about: str = ""  # the two texts, as `about` names them
    id: str = ""  # filled in by `cast`

    @property
    def sides(self) -> frozenset[str]:
        """The two sides it is about."""
        return frozenset((self.first, self.second))

    @property
    def preferred(self) -> str:
        """The side it is for; empty for a tie."""
        return {"first": self.first, "second": self.second}.get(self.choice, "")


class TakenBack(msgspec.Struct, frozen=True, tag="taken_back", tag_field="type"):
    """A vote no longer holds; the one before it does again."""

    vote: str  # its id
    time: float


def of(pair: Pair, choice: Choice, voter: str) -> Vote:
    """A vote on a pair, to be cast."""
    return Vote(
        prompt=pair.prompt,
        first=pair.first,
        second=pair.second,
        choice=choice,
        voter=voter,
        first_sample=pair.first_sample,
        second_sample=pair.second_sample,
        about=pair.about,
    )


def cast(workspace: Workspace, report_id: str, vote: Vote) -> Vote:
    """Write a vote down, and return it as it was written. Raises BadInput for a report that is not there."""
    if not vote.voter or vote.first == vote.second or vote.prompt < 0:
        raise BadInput("this is no vote: it needs a voter, a prompt and two sides", where=report_id)
    made = msgspec.structs.replace(vote, time=vote.time or clock.time(), id=secrets.token_hex(6))
    beside.append(beside.path_of(workspace, report_id, _FILE), made)
    return made


def take_back(workspace: Workspace, report_id: str, voter: str) -> Vote | None:
    """Take this voter's latest vote that still holds back; it stays in the file. None where there is none."""
    path = beside.path_of(workspace, report_id, _FILE)
    last = next((vote for vote in reversed(_standing(workspace, report_id)) if vote.voter == voter), None)
    if last is not None:
        beside.append(path, TakenBack(last.id, clock.time()))
    return last


def votes(workspace: Workspace, report_id: str) -> list[Vote]:
    """The votes that hold, oldest first: of each voter the latest on each prompt and two sides."""
    latest: dict[tuple[str, int, frozenset[str]], Vote] = {}
    for vote in _standing(workspace, report_id):
        key = (vote.voter, vote.prompt, vote.sides)
        latest.pop(key, None)
        latest[key] = vote
    return list(latest.values())


def open_pairs(pairs: list[Pair], cast_votes: list[Vote], voter: str) -> list[Pair]:
    """The pairs that this voter has not voted on; votes on other texts of a prompt that was asked again are none."""
    done = {(vote.prompt, vote.sides, vote.about) for vote in cast_votes if vote.voter == voter}
    return [pair for pair in pairs if (pair.prompt, pair.sides, pair.about) not in done]


def _standing(workspace: Workspace, report_id: str) -> list[Vote]:
    """Every vote that was not taken back, in the order they were cast."""
    lines: list[Vote | TakenBack] = beside.read(
        beside.path_of(workspace, report_id, _FILE),
        Vote | TakenBack,  # type: ignore[arg-type]  # msgspec takes a union as a type
    )
    gone = {line.vote for line in lines if isinstance(line, TakenBack)}
    return [line for line in lines if isinstance(line, Vote) and line.id not in gone]
