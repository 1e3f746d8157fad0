"""Blind votes: what is shown betrays nothing, nothing cast is lost, and what is counted is what a person meant."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import (
    Choice,
    Note,
    Pair,
    cast,
    note,
    notes,
    of,
    open_pairs,
    pairs,
    take_back,
    tally,
    votes,
)
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from written_reports import written


def two_sides(workspace: Workspace, prompts: int = 40, identity: str = "r1") -> Report:
    return written(
        workspace,
        {side: [[f"{side} says {number}"] for number in range(prompts)] for side in ("baseline", "tuned")},
        identity=identity,
    )


def choice_for(pair: Pair, side: str) -> Choice:
    return "first" if pair.first == side else "second"


def test_sides_and_prompts_are_shuffled_and_going_back_shows_the_same(workspace: Workspace) -> None:
    made = two_sides(workspace)
    shown = pairs(made, "ann")
    assert shown == pairs(made, "ann")
    assert sorted(pair.prompt for pair in shown) == list(range(40))
    assert sum(one.prompt < other.prompt for one, other in pairwise(shown)) < 32
    assert 8 <= sum(pair.first == "tuned" for pair in shown) <= 32
    others = pairs(made, "ben")
    assert [pair.prompt for pair in others] != [pair.prompt for pair in shown]
    by_prompt = {pair.prompt: pair.first for pair in shown}
    assert 8 <= sum(by_prompt[pair.prompt] != pair.first for pair in others) <= 32


def test_each_text_stands_where_its_side_is_said_to_stand(workspace: Workspace) -> None:
    for pair in pairs(two_sides(workspace), "ann"):
        assert pair.first_text == f"{pair.first} says {pair.prompt}"
        assert pair.second_text == f"{pair.second} says {pair.prompt}"
        assert pair.question == f"question {pair.prompt}"


def test_answers_that_are_alike_or_could_not_be_had_are_not_asked_about(workspace: Workspace) -> None:
    made = written(
        workspace,
        {
            "baseline": [["same"], ["!gone"], ["one"], ["a", "b"]],
            "tuned": [["same "], ["here"], ["two"], ["a", "c"]],
        },
    )
    assert {(pair.prompt, pair.first_sample, pair.second_sample) for pair in pairs(made, "ann")} == {
        (2, 0, 0),
        (3, 1, 1),
    }


def test_everybody_sees_the_same_samples(workspace: Workspace) -> None:
    made = written(
        workspace,
        {side: [[f"{side} {number} {k}" for k in range(5)] for number in range(12)] for side in ("baseline", "tuned")},
    )
    samples = {pair.prompt: pair.about for pair in pairs(made, "ann")}
    assert samples == {pair.prompt: pair.about for pair in pairs(made, "ben")}
    assert len({pair.first_sample for pair in pairs(made, "ann")}) > 1


def test_of_three_models_every_prompt_comes_once_before_any_comes_again(workspace: Workspace) -> None:
    sides = ("baseline", "tuned", "other 1")
    made = written(workspace, {side: [[f"{side} {number}"] for number in range(10)] for side in sides})
    shown = pairs(made, "ann")
    assert len(shown) == 30
    assert len({pair.sides for pair in shown[:10]}) == 3
    for turn in range(3):
        assert sorted(pair.prompt for pair in shown[10 * turn : 10 * turn + 10]) == list(range(10))


def test_a_newer_vote_counts_and_the_older_one_stays_in_the_file(workspace: Workspace) -> None:
    made = two_sides(workspace)
    pair = pairs(made, "ann")[0]
    cast(workspace, made.id, of(pair, "equal", "ann"))
    cast(workspace, made.id, of(pair, "bad", "ben"))
    cast(workspace, made.id, of(pair, "first", "ann"))
    assert [(vote.voter, vote.choice) for vote in votes(workspace, made.id)] == [("ben", "bad"), ("ann", "first")]
    assert len((workspace.reports / made.id / "votes.jsonl").read_text().splitlines()) == 3


def test_a_vote_taken_back_leaves_the_one_before_it_and_only_ones_own_is_taken(workspace: Workspace) -> None:
    made = two_sides(workspace)
    first, second = pairs(made, "ann")[:2]
    cast(workspace, made.id, of(first, "first", "ann"))
    cast(workspace, made.id, of(second, "equal", "ann"))
    cast(workspace, made.id, of(first, "second", "ann"))
    cast(workspace, made.id, of(first, "bad", "ben"))
    taken = take_back(workspace, made.id, "ann")
    assert taken is not None
    assert (taken.prompt, taken.choice) == (first.prompt, "second")
    held = {(vote.voter, vote.prompt): vote.choice for vote in votes(workspace, made.id)}
    assert held == {("ann", first.prompt): "first", ("ann", second.prompt): "equal", ("ben", first.prompt): "bad"}
    assert [take_back(workspace, made.id, "ann") is not None for _ in range(3)] == [True, True, False]
    assert [vote.voter for vote in votes(workspace, made.id)] == ["ben"]


def test_half_a_line_of_a_crash_costs_that_vote_alone(workspace: Workspace) -> None:
    made = two_sides(workspace)
    one, two = pairs(made, "ann")[:2]
    cast(workspace, made.id, of(one, "first", "ann"))
    path = workspace.reports / made.id / "votes.jsonl"
    with path.open("ab") as file:
        file.write(b'{"type":"vote","prompt":3,"fir')
    cast(workspace, made.id, of(two, "second", "ann"))
    assert [vote.prompt for vote in votes(workspace, made.id)] == [one.prompt, two.prompt]


FULL_DISK = """
import resource, sys
from pathlib import Path
from lora_tui.verify.votes import Vote, cast
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

workspace = Workspace(Path(sys.argv[1]))
size = (workspace.reports / "r1" / "votes.jsonl").stat().st_size
for _ in range(2):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
    try:
        cast(workspace, "r1", Vote(1, "tuned", "baseline", "equal", "ann"))
    except LoraTuiError as error:
        print(error.what)
"""


def test_on_a_full_disk_a_vote_is_not_taken_and_those_before_and_after_are(workspace: Workspace) -> None:
    made = two_sides(workspace)
    one, two = pairs(made, "ann")[:2]
    cast(workspace, made.id, of(one, "first", "ann"))
    said = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(workspace.root)], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == ["the disk is full", "cannot write: File too large"]
    assert [vote.prompt for vote in votes(workspace, made.id)] == [one.prompt]
    cast(workspace, made.id, of(two, "second", "ann"))
    assert [vote.prompt for vote in votes(workspace, made.id)] == [one.prompt, two.prompt]


def test_a_vote_for_no_report_is_refused(workspace: Workspace) -> None:
    pair = pairs(two_sides(workspace), "ann")[0]
    for unknown in ("r9", "", "../r1"):
        with pytest.raises(BadInput, match="no report"):
            cast(workspace, unknown, of(pair, "first", "ann"))


def test_the_tally_is_the_sign_test_of_who_was_preferred_with_ties_out(workspace: Workspace) -> None:
    made = two_sides(workspace, 20)
    for number, pair in enumerate(pairs(made, "ann")):
        said = choice_for(pair, "tuned") if number < 9 else choice_for(pair, "baseline") if number == 9 else "equal"
        cast(workspace, made.id, of(pair, "bad" if number == 19 else said, "ann"))
    counted = tally(made, votes(workspace, made.id))
    assert (counted.test.tuned, counted.test.baseline, counted.test.ties) == (9, 1, 10)
    assert counted.test.p == pytest.approx(22 / 1024)  # 2 * (C(10,0) + C(10,1)) / 2**10
    assert "preferred" in counted.test.verdict
    assert (counted.votes, counted.bad, counted.ranking) == (20, 1, None)


def test_several_peoples_votes_on_a_prompt_are_no_independent_trials(workspace: Workspace) -> None:
    made = two_sides(workspace, 4)
    for voter in ("ann", "ben", "cleo"):
        for pair in pairs(made, voter):
            loyal = voter != "cleo" or pair.prompt == 0
            cast(workspace, made.id, of(pair, choice_for(pair, "tuned" if loyal else "baseline"), voter))
    counted = tally(made, votes(workspace, made.id))
    assert (counted.test.tuned, counted.test.baseline) == (4, 0)
    assert counted.test.verdict.startswith("Too few votes")
    assert (counted.votes, counted.voters) == (12, ("ann", "ben", "cleo"))


def test_three_models_are_ranked(workspace: Workspace) -> None:
    sides = ("baseline", "other 1", "tuned")
    made = written(workspace, {side: [[f"{side} {number}"] for number in range(12)] for side in sides})
    for number, pair in enumerate(pairs(made, "ann")):
        better = max(pair.first, pair.second)  # as the names are sorted: tuned, other 1, baseline
        said: Choice = choice_for(pair, better) if number % 4 else "equal"
        cast(workspace, made.id, of(pair, said, "ann"))
    counted = tally(made, votes(workspace, made.id))
    assert counted.ranking is not None
    assert [item.model for item in counted.ranking.models] == ["tuned", "other 1", "baseline"]


def test_votes_on_answers_that_were_asked_again_since_do_not_count(workspace: Workspace) -> None:
    made = two_sides(workspace, 8)
    for pair in pairs(made, "ann"):
        cast(workspace, made.id, of(pair, choice_for(pair, "tuned"), "ann"))
    again = written(
        workspace,
        {
            side: [[f"{side} says {number if number else 'another'}"] for number in range(8)]
            for side in ("baseline", "tuned")
        },
    )
    cast_before = votes(workspace, made.id)
    counted = tally(again, cast_before)
    assert (counted.votes, counted.stale, counted.test.tuned) == (7, 1, 7)
    assert [pair.prompt for pair in open_pairs(pairs(again, "ann"), cast_before, "ann")] == [0]
    assert open_pairs(pairs(made, "ann"), cast_before, "ann") == []


def test_a_persons_newer_note_takes_the_place_of_the_older_and_an_empty_one_removes_it(workspace: Workspace) -> None:
    made = two_sides(workspace)
    for new in (Note(3, "odd", "ann"), Note(1, "good", "ann"), Note(3, "mine", "ben"), Note(3, "fine", "ann")):
        note(workspace, made.id, new)
    assert [(item.prompt, item.text) for item in notes(workspace, made.id)] == [(1, "good"), (3, "mine"), (3, "fine")]
    note(workspace, made.id, Note(3, " ", "ann"))
    assert [(item.prompt, item.text) for item in notes(workspace, made.id)] == [(1, "good"), (3, "mine")]
    assert len((workspace.reports / made.id / "notes.jsonl").read_text().splitlines()) == 5
