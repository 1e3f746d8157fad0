"""Targets, today's pace, and the time left."""

from __future__ import annotations

from datetime import datetime

import pytest

from lora_tui.curation import examples, labels
from lora_tui.curation.progress import Pace, pace, progress
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import says, store_session, user

NOON = datetime(2026, 11, 20, 12, 0).timestamp()


@pytest.fixture
def twenty(workspace: Workspace) -> Workspace:
    for number in range(1, 21):
        store_session(workspace, f"ses_{number}", [user(f"Please do task number {number}"), says(f"Did {number}.")])
    examples.refresh(workspace)
    workspace.connection().execute("UPDATE example SET language = CASE WHEN id <= 12 THEN 'ruby' ELSE 'swift' END")
    return workspace


class Clock:
    """The time at which labels are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = NOON
        monkeypatch.setattr(labels, "_now", lambda: int(self.at * 1000))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_pace_is_that_of_the_work_without_the_pauses(twenty: Workspace, clock: Clock) -> None:
    for number in range(1, 7):  # the first says itself that it took 30 seconds; then one each half minute
        labels.decide(twenty, [number], "accept" if number % 2 else "reject", author="ana", seconds=30)
        clock.at += 30
    clock.at += 3600  # lunch
    labels.decide(twenty, [7], "accept", author="ana", seconds=20)
    labels.decide(twenty, [8], "accept", author="ben", seconds=500)
    found = pace(twenty, "ana", int(NOON * 1000))
    assert found == Pace(decisions=7, accepted=4, bulk=0, seconds=30 + 5 * 30 + 20)
    assert found.per_hour == pytest.approx(7 / 200 * 3600)
    assert pace(twenty, "ana", int(clock.at * 1000)).decisions == 1


def test_few_decisions_and_bulk_ones_make_no_pace(twenty: Workspace, clock: Clock) -> None:
    labels.decide(twenty, range(1, 11), "accept", author="ana")
    for number in range(11, 15):
        clock.at += 10
        labels.decide(twenty, [number], "accept", author="ana")
    found = pace(twenty, "ana", int(NOON * 1000))
    assert (found.decisions, found.bulk, found.per_hour) == (4, 10, None)


def test_what_was_taken_back_is_no_pace(twenty: Workspace, clock: Clock) -> None:
    labels.decide(twenty, [1], "accept", author="ana")
    labels.undo(twenty, "ana")
    assert pace(twenty, "ana", int(NOON * 1000)).decisions == 0


def test_each_language_has_its_target_and_the_time_left_at_its_own_pace(twenty: Workspace, clock: Clock) -> None:
    for number in range(1, 7):
        labels.decide(twenty, [number], "accept", author="ana", seconds=60)
        clock.at += 60
    data = Data(languages=("ruby", "swift"), targets={"ruby": 12, "swift": 4})
    found = progress(twenty, data, author="ana", now=clock.at)
    ruby, swift = found.languages
    assert (ruby.language, ruby.accepted, ruby.target, ruby.unlabelled) == ("ruby", 6, 12, 6)
    assert ruby.seconds_left == pytest.approx(6 * 60)
    assert (swift.accepted, swift.seconds_left) == (0, None)  # not one of today: it cannot be told
    assert (found.accepted, found.target) == (6, 16)
    assert found.seconds_left == pytest.approx(10 * 60)
    assert progress(twenty, Data(targets={"ruby": 5}), author="ana", now=clock.at).seconds_left == 0.0


def test_yesterdays_work_is_not_todays_pace(twenty: Workspace, clock: Clock) -> None:
    for number in range(1, 7):
        labels.decide(twenty, [number], "accept", author="ana", seconds=60)
        clock.at += 60
    found = progress(twenty, Data(target=10), author="ana", now=NOON + 86_400)
    assert (found.accepted, found.pace.decisions, found.seconds_left) == (6, 0, None)
