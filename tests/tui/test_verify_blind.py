"""Blind votes in the app: nothing betrays a side, every vote is kept, the sign test comes at the end."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from screen_text import shown, text_of, until

import run_stories
from lora_tui.jobs.checks import Expectation
from lora_tui.tui.app import LoraTuiApp
from lora_tui.verify import votes
from lora_tui.verify.reports.report import Report
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from run_stories import NOW
from written_reports import written

PROMPTS = 8


def verify(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "verify", clock=lambda: NOW)


def report(workspace: Workspace, *sides: str) -> Report:
    """Two samples of eight prompts: the baseline says "plain N", the fine-tune "fine N", and so on."""
    words = {"baseline": "plain", "tuned": "fine", **{side: side.replace(" ", "") for side in sides}}
    said = {
        side: [[f"{word} {number} {sample}" for sample in range(2)] for number in range(PROMPTS)]
        for side, word in words.items()
    }
    return written(workspace, said, expectations=[Expectation("contains", "fine")])


@pytest.fixture(autouse=True)
def someone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "someone")


async def begin(pilot: Any) -> str:
    await shown(pilot.app, "gained")
    await pilot.press("v")
    return await shown(pilot.app, "the first answer", "not voted yet")


def answers(text: str) -> Sequence[str]:
    """The two answers, first and second."""
    return re.findall(r"(?:plain|fine|other1) \d \d", text)


async def test_nothing_on_the_screen_says_whose_an_answer_is(workspace: Workspace) -> None:
    report(workspace)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        text = await begin(pilot)
        for _ in range(PROMPTS):
            body = text.split("\n", 1)[1]
            assert not re.search(r"baseline|tuned|fine-tune|base:|#|✓|✗|passed|failed|tokens|\d s\b|contains", body)
            assert not re.search(r"^[-+]", body, re.M)  # the marks of the words that differ are alike
            assert len(answers(text)) == 2
            before = text
            await pilot.press("right")
            await until(lambda before=before: text_of(pilot.app) != before)  # type: ignore[misc]
            text = text_of(pilot.app)


async def test_sides_and_prompts_are_shuffled_and_going_back_shows_the_same(workspace: Workspace) -> None:
    report(workspace)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        seen = [answers(await begin(pilot))]
        for _ in range(PROMPTS - 1):
            await pilot.press("right")
            await until(lambda: answers(text_of(pilot.app)) != seen[-1])
            seen.append(answers(text_of(pilot.app)))
        assert {pair[0].split()[0] for pair in seen} == {"plain", "fine"}
        assert [pair[0].split()[1] for pair in seen] != sorted(pair[0].split()[1] for pair in seen)
        for place in range(PROMPTS - 2, -1, -1):
            await pilot.press("left")
            await until(lambda place=place: answers(text_of(pilot.app)) == seen[place])  # type: ignore[misc]


async def test_all_votes_are_kept_and_the_sign_test_is_told_at_the_end(workspace: Workspace) -> None:
    found = report(workspace)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        text = await begin(pilot)
        for number in range(PROMPTS):
            first, _ = answers(text)
            assert f"{number} voted" in text
            await pilot.press("1" if first.startswith("fine") else "2")
            text = await shown(pilot.app, f"{number + 1} voted")
        await shown(
            pilot.app, "every pair is voted on", "The fine-tune is preferred to the baseline (8 to 0, p = 0.008)"
        )
        await pilot.press("escape")
        await shown(pilot.app, "8 blind votes", "8 to 0")
    given = votes.votes(workspace, found.id)
    assert {vote.prompt for vote in given} == set(range(PROMPTS))
    assert {vote.preferred for vote in given} == {"tuned"}
    assert {vote.voter for vote in given} == {"someone"}


async def test_equal_and_bad_are_no_preference_and_u_takes_a_vote_back(workspace: Workspace) -> None:
    found = report(workspace)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        first = answers(await begin(pilot))
        await pilot.press("=")
        await shown(pilot.app, "1 voted")
        await pilot.press("0")
        await shown(pilot.app, "2 voted")
        await until(lambda: [vote.choice for vote in votes.votes(workspace, found.id)] == ["equal", "bad"])
        await pilot.press("u")
        await shown(pilot.app, "1 voted", "not voted yet")
        await pilot.press("u")
        text = await shown(pilot.app, "0 voted")
        assert answers(text) == first
        assert votes.votes(workspace, found.id) == []


async def test_what_was_voted_is_not_asked_again_and_its_count_tells_no_result_before_the_end(
    workspace: Workspace,
) -> None:
    report(workspace)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        first = answers(await begin(pilot))
        await pilot.press("1")
        await shown(pilot.app, "1 voted")
        await pilot.press("q")
        await shown(pilot.app, "1 blind vote so far")
        await pilot.press("v")
        text = await shown(pilot.app, "1 voted", "not voted yet")
        assert answers(text) != first


async def test_tab_shows_the_second_answer_in_a_small_window(workspace: Workspace) -> None:
    report(workspace)
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        text = await begin(pilot)
        (first,) = answers(text)
        await pilot.press("tab")
        text = await shown(pilot.app, "the second answer")
        (second,) = answers(text)
        assert {first.split()[0], second.split()[0]} == {"plain", "fine"}


async def test_three_sides_are_ranked(workspace: Workspace) -> None:
    report(workspace, "other 1")
    order = ("fine", "plain", "other1")
    async with verify(workspace).run_test(size=(160, 40)) as pilot:
        text = await begin(pilot)
        assert f"1 of {3 * PROMPTS} pairs" in text
        for number in range(3 * PROMPTS):
            first, second = (order.index(said.split()[0]) for said in answers(text))
            upset = number % 5 == 4  # now and then the weaker one: else there is no finite strength
            await pilot.press("1" if (first < second) != upset else "2")
            text = await shown(pilot.app, f"{number + 1} voted")
        text = await shown(pilot.app, "every pair is voted on", "1. ", "2. ", "3. ")
        assert text.index("1. tuned") < text.index("2. baseline") < text.index("3. other 1")


async def test_answers_that_are_all_the_same_leave_nothing_to_vote_on(workspace: Workspace) -> None:
    run_stories.write_profile(workspace)
    written(workspace, {"baseline": [["same"]], "tuned": [["same"]]})
    async with verify(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "case 0")
        await pilot.press("v")
        await shown(pilot.app, "o two answers differ")
        await pilot.press("escape")
        await shown(pilot.app, "case 0")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_looks(workspace: Workspace, size: tuple[int, int], snap_compare: Any) -> None:
    report(workspace)

    async def ready(pilot: Any) -> None:
        await begin(pilot)
        await pilot.press("1")
        await shown(pilot.app, "1 voted")

    assert snap_compare(verify(workspace), terminal_size=size, run_before=ready)


async def test_a_key_pressed_while_a_vote_is_being_taken_back_is_no_vote_on_another_pair(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(workspace)
    pressed = threading.Event()
    take_back = votes.take_back

    def slow(*arguments: Any) -> votes.Vote | None:
        assert pressed.wait(20)
        return take_back(*arguments)

    monkeypatch.setattr(votes, "take_back", slow)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        first = answers(await begin(pilot))
        await pilot.press("1")
        await shown(pilot.app, "1 voted")
        await until(lambda: len(votes.votes(workspace, found.id)) == 1)
        await pilot.press("u", "2")  # meant for the first pair, which is not shown yet
        pressed.set()
        text = await shown(pilot.app, "0 voted")
        assert answers(text) == first
        await pilot.press("2")
        await shown(pilot.app, "1 voted")
        await until(lambda: len(votes.votes(workspace, found.id)) == 1)
    (vote,) = votes.votes(workspace, found.id)
    assert (vote.prompt, vote.choice) == (int(first[0].split()[1]), "second")


async def test_a_vote_that_could_not_be_written_is_open_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(workspace)
    cast = votes.cast

    def full(*_: Any) -> votes.Vote:
        raise LoraTuiError("the disk is full", fix="Free some space, then do it again.")

    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        first = answers(await begin(pilot))
        monkeypatch.setattr(votes, "cast", full)
        await pilot.press("1")
        await shown(pilot.app, "The disk is full")
        monkeypatch.setattr(votes, "cast", cast)
        await pilot.press("escape")
        text = await shown(pilot.app, "0 voted", "not voted yet")
        assert answers(text) == first
        await pilot.press("1")
        await shown(pilot.app, "1 voted")
        await until(lambda: len(votes.votes(workspace, found.id)) == 1)


async def test_u_without_a_vote_says_so_and_voting_goes_on(workspace: Workspace) -> None:
    found = report(workspace)
    async with verify(workspace).run_test(size=(120, 30)) as pilot:
        await begin(pilot)
        await pilot.press("u")
        await shown(pilot.app, "no vote of yours to take back")
        await pilot.press("escape")
        await shown(pilot.app, "0 voted", "not voted yet")
        await until(lambda: pilot.app.screen._ballot is not None)
        await pilot.press("1")
        await until(lambda: len(votes.votes(workspace, found.id)) == 1)
