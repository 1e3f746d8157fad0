"""Asking a side: in which order, how many at once, what is kept, and what happens when a server misbehaves."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.checks import Expectation
from lora_tui.jobs.journal import Answer, AnyEvent, Check
from lora_tui.verify.asking import EndpointFault, Identity, Question, Sampling
from lora_tui.verify.reports.concluding import Heard
from lora_tui.verify.running import lane as lanes
from lora_tui.verify.running.kept import Kept
from lora_tui.verify.running.lane import Lane
from lora_tui.verify.running.order import Place, rounds, samples_of
from lora_tui.verify.running.slots import MOST, Slots
from lora_tui.verify.running.warm_up import WarmUp
from lora_tui.verify.suites.suite import Case, Suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from scripted_endpoints import Scripted

GREEDY = Sampling()
NOBODY = Identity(engine="x", model="m")


def suite(many: int = 12, repeat: int = 1) -> Suite:
    """Prompts that nothing is expected of."""
    return Suite("s", "", Path(), tuple(Case(f"c{n}", f"prompt {n:03}", ()) for n in range(many)), repeat)


class Side:
    """A lane over a scripted endpoint, and the events it wrote."""

    def __init__(
        self,
        workspace: Workspace,
        endpoint: Scripted,
        *,
        wanted: Suite | None = None,
        side: str = "tuned",
        identity: Identity = NOBODY,
        at_once: int = 4,
        sampling: Sampling = GREEDY,
        warm_up: WarmUp | None = None,
    ) -> None:
        self.events: list[AnyEvent] = []
        self.stopped = False
        self.suite = wanted or suite()
        self.slots = Slots(fixed=at_once)
        kept = Kept(workspace, identity)
        self.lane = Lane(
            side,
            endpoint,
            self.slots,
            self.suite.cases,
            sampling,
            kept,
            warm_up or WarmUp(self.suite),
            self._check,
            self.events.append,
            lambda: self.stopped,
        )

    async def ask(self) -> bool:
        """Every prompt once."""
        return await self.lane.ask([Place(number, "tuned", 0) for number in range(len(self.suite.cases))])

    @property
    def answers(self) -> list[Answer]:
        """What was journalled."""
        return [event for event in self.events if isinstance(event, Answer)]

    @staticmethod
    async def _check(case: Case, text: str, seconds: float) -> tuple[Check, ...]:
        return (Check("any", passed=bool(text)),)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PAUSE", 0.0)


def test_every_question_is_asked_once_and_no_side_is_asked_while_another_is() -> None:
    samples = samples_of(suite(7), 3, greedy=False)
    asked = rounds(["baseline", "tuned", "other 1"], samples, seed=4)
    assert [side for side, _ in asked] == ["baseline", "tuned", "other 1", "baseline"]
    flat = [place for _, places in asked for place in places]
    assert Counter(flat) == Counter(
        Place(prompt, side, sample)
        for prompt in range(7)
        for side in ("baseline", "tuned", "other 1")
        for sample in range(3)
    )
    orders = {
        side: [(place.prompt, place.sample) for place in flat if place.side == side] for side in ("baseline", "tuned")
    }
    assert orders["baseline"] == orders["tuned"] != sorted(orders["tuned"])
    assert len(asked[0][1]) == pytest.approx(len(asked[3][1]), abs=1)
    assert rounds(["baseline", "tuned"], samples, seed=5) != rounds(["baseline", "tuned"], samples, seed=4)


def test_greedy_samples_are_asked_once_however_many_are_wanted() -> None:
    assert samples_of(suite(2, repeat=5), 0, greedy=True) == [1, 1]
    assert samples_of(suite(2, repeat=5), 0, greedy=False) == [5, 5]
    assert samples_of(suite(2, repeat=5), 3, greedy=False) == [3, 3]


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 2), (4, 4), (16, 17), (48, MOST + 4), (500, MOST + 4)])
def test_as_many_are_in_flight_as_the_server_gets_done_more_by(places: int, most: int) -> None:
    """A server that answers `places` at once, each after a second, simulated."""
    now = 0.0
    slots = Slots(clock=lambda: now)
    ends: list[float] = []
    free = [0.0] * places
    for _ in range(600):
        while len(ends) < slots.limit:
            place = min(range(places), key=free.__getitem__)
            free[place] = max(now, free[place]) + 1.0
            ends.append(free[place])
        now = min(ends)
        ends.remove(now)
        slots.answered()
    assert min(places, MOST) <= slots.limit <= most


def test_a_server_that_says_how_many_it_takes_is_given_so_many_and_one_that_refuses_half() -> None:
    assert Slots(told=3).limit == 3
    assert Slots(fixed=7, told=3).limit == 7
    slots = Slots(fixed=8)
    slots.refused()
    slots.refused()
    assert slots.limit == 2


async def test_no_more_are_under_way_than_were_allowed(workspace: Workspace) -> None:
    endpoint = Scripted("e", lambda question: "ok", seconds=0.002)
    side = Side(workspace, endpoint, at_once=3)
    assert await side.ask()
    assert (endpoint.at_once, side.lane.at_once) == (3, 3)
    assert sorted(answer.prompt for answer in side.answers) == list(range(12))
    assert all(answer.checks and answer.tokens == 1 for answer in side.answers)


async def test_an_answer_is_asked_for_once_in_all_runs_and_again_when_anything_that_determines_it_changes(
    workspace: Workspace,
) -> None:
    async def asked(digest: str, sampling: Sampling = GREEDY) -> int:
        endpoint = Scripted("e", lambda question: "ok")
        side = Side(workspace, endpoint, identity=Identity("x", "m", digest=digest), sampling=sampling)
        await side.ask()
        assert [answer.cached for answer in side.answers] == [not endpoint.asked] * 12
        assert all(answer.checks for answer in side.answers)
        return len(endpoint.asked)

    assert await asked("weights 1") == 12
    assert await asked("weights 1") == 0
    assert await asked("weights 1", Sampling(seed=9)) == 0  # greedy answers have no seed
    assert await asked("weights 2") == 12
    assert await asked("weights 1", Sampling(temperature=0.7)) == 12
    assert await asked("weights 1", Sampling(temperature=0.7, seed=1)) == 12
    assert await asked("weights 1", Sampling(max_tokens=10)) == 12
    assert await asked("") == 12
    assert await asked("") == 12  # whose weights cannot be told is asked each time


async def test_a_line_of_kept_answers_that_was_cut_short_costs_that_answer_alone(workspace: Workspace) -> None:
    who = Identity("x", "m", digest="d")
    await Side(workspace, Scripted("e", lambda question: "ok"), identity=who).ask()
    [path] = (workspace.root / "cache" / "answers").iterdir()
    path.write_bytes(path.read_bytes()[:-9] + b'\n{"key": "\xff\xfe", "answer": {}}\n')  # and bytes that are no text
    endpoint = Scripted("e", lambda question: "ok")
    await Side(workspace, endpoint, identity=who).ask()
    assert len(endpoint.asked) == 1
    assert Kept(workspace, who, fresh=True).find(endpoint.asked[0]) is None


async def test_a_server_that_asks_to_wait_is_waited_for_and_asked_less_at_once(workspace: Workspace) -> None:
    refused: Counter[str] = Counter()

    def answer(question: Question) -> str | EndpointFault:
        refused[question.prompt] += 1
        if question.prompt == "prompt 003" and refused[question.prompt] <= 3:
            return EndpointFault("rate-limited", "429", again=True, wait=0.0)
        return "ok"

    side = Side(workspace, Scripted("e", answer), at_once=8)
    assert await side.ask()
    assert side.slots.limit == 1
    late = next(answer for answer in side.answers if answer.prompt == 3)
    assert (late.error, late.attempts, late.fault) == ("", 4, "rate-limited")


@pytest.mark.parametrize("code", ["cut-off", "malformed", "hang"])
async def test_an_answer_that_cannot_be_had_is_an_error_with_the_faults_name(workspace: Workspace, code: str) -> None:
    def answer(question: Question) -> str | EndpointFault:
        return EndpointFault(code, "broken", again=True) if question.prompt == "prompt 005" else "ok"  # type: ignore[arg-type]

    endpoint = Scripted("e", answer)
    side = Side(workspace, endpoint)
    assert await side.ask()
    lost = next(answer for answer in side.answers if answer.prompt == 5)
    assert (lost.error, lost.fault, lost.attempts, lost.text, lost.checks) == ("broken", code, 3, "", ())
    assert len(endpoint.asked) == 11 + 3


async def test_what_helps_nothing_is_not_asked_again(workspace: Workspace) -> None:
    endpoint = Scripted("e", lambda question: EndpointFault("refused", "400") if "00" in question.prompt[-2:] else "ok")
    side = Side(workspace, endpoint)
    assert await side.ask()
    assert len(endpoint.asked) == 12


async def test_a_server_that_is_gone_ends_the_run_instead_of_failing_every_prompt(workspace: Workspace) -> None:
    endpoint = Scripted("e", lambda question: EndpointFault("unreachable", "nothing answers there"))
    side = Side(workspace, endpoint, wanted=suite(100))
    with pytest.raises(LoraTuiError, match="5 answers in a row could not be had: nothing answers there"):
        await side.ask()
    assert len(endpoint.asked) < 20
    assert endpoint.under_way == 0


@pytest.mark.parametrize("code", ["wrong-model", "truncated-prompt"])
async def test_a_fault_that_voids_answers_ends_the_run_and_is_named(workspace: Workspace, code: str) -> None:
    def answer(question: Question) -> str | EndpointFault:
        return EndpointFault(code, "not it") if question.prompt == "prompt 005" else "ok"  # type: ignore[arg-type]

    side = Side(workspace, Scripted("e", answer))
    with pytest.raises(EndpointFault, match="not it"):
        await side.ask()
    heard = Heard.of(side.events)
    assert heard.void
    assert [(fault.side, fault.code) for fault in heard.faults] == [("tuned", code)]
    heard.fold(journal.Started(pid=1, host="h", total_steps=1))
    assert (heard.answers, heard.void) == ({}, False)  # started again, nothing of it counts


@pytest.mark.parametrize("share", [0.3, 1.0])
async def test_a_server_that_mixes_the_two_sides_under_load_is_found_out(workspace: Workspace, share: float) -> None:
    draw = random.Random(1)
    wanted = suite(60)
    warm_up = WarmUp(wanted)
    base = Scripted("base", lambda question: f"base says {question.prompt}")
    tuned = Scripted("tuned", lambda question: f"{word()} says {question.prompt}", seconds=0.001)

    def word() -> str:
        return "base" if tuned.under_way > 1 and draw.random() < share else "tuned"

    for label, endpoint in (("baseline", base), ("tuned", tuned)):
        await warm_up.of(label, endpoint)
    side = Side(workspace, tuned, wanted=wanted, warm_up=warm_up)
    with pytest.raises(EndpointFault, match="answered as baseline does") as caught:
        await side.ask()
    assert caught.value.code == "mixed-adapters"
    assert Heard.of(side.events).void


async def test_answers_that_batching_changes_a_little_are_no_mixture(workspace: Workspace) -> None:
    warm_up = WarmUp(suite(60))
    base = Scripted("base", lambda question: "base")
    tuned = Scripted("tuned", lambda question: "tuned, sort of" if tuned.under_way > 1 else "tuned", seconds=0.001)
    for label, endpoint in (("baseline", base), ("tuned", tuned)):
        await warm_up.of(label, endpoint)
    side = Side(workspace, tuned, wanted=suite(60), warm_up=warm_up)
    assert await side.ask()
    assert len(side.answers) == 60
    assert len(tuned.asked) > 62  # the warm-up's questions were among them


async def test_stopped_it_ends_what_is_under_way_and_begins_nothing_more(workspace: Workspace) -> None:
    side = Side(workspace, Scripted("e", lambda question: answer(), seconds=0.001), wanted=suite(100))

    def answer() -> str:
        side.stopped = side.stopped or len(side.answers) >= 10
        return "ok"

    assert not await side.ask()
    assert 10 <= len(side.answers) <= 18
    assert not any(answer.error for answer in side.answers)


async def test_stopped_while_it_waits_for_a_server_that_refuses_it_stops_and_does_not_fail(
    workspace: Workspace,
) -> None:
    side = Side(workspace, Scripted("e", lambda question: refusal()), wanted=suite(20), at_once=8)

    def refusal() -> EndpointFault:
        side.stopped = len(endpoint_asked) >= 7
        endpoint_asked.append(1)
        return EndpointFault("rate-limited", "too much", again=True, wait=20.0)

    endpoint_asked: list[int] = []
    async with asyncio.timeout(5):
        assert not await side.ask()
    assert all(answer.error for answer in side.answers)


async def test_a_check_that_breaks_ends_the_run_instead_of_leaving_its_answer_out(workspace: Workspace) -> None:
    side = Side(workspace, Scripted("e", lambda question: "ok", seconds=0.001), wanted=suite(30), at_once=2)
    whole = side._check

    async def check(case: Case, text: str, seconds: float) -> tuple[Check, ...]:
        if case.prompt == "prompt 002":
            raise OSError("no space left on device")
        return await whole(case, text, seconds)

    side.lane._check = check
    with pytest.raises(OSError, match="no space"):
        await side.ask()


async def test_what_was_answered_before_a_server_went_is_checked_and_kept(workspace: Workspace) -> None:
    def says(question: Question) -> str | EndpointFault:
        return "ok" if question.prompt < "prompt 003" else EndpointFault("unreachable", "it is gone")

    side = Side(workspace, Scripted("e", says), wanted=suite(12), at_once=1)

    async def check(case: Case, text: str, seconds: float) -> tuple[Check, ...]:
        await asyncio.sleep(0.1)  # longer than five refusals take
        return ()

    side.lane._check = check
    with pytest.raises(LoraTuiError, match="in a row"):
        await side.ask()
    assert [answer.prompt for answer in side.answers if not answer.error] == [0, 1, 2]


async def test_a_prompt_that_expects_a_quick_answer_is_asked_anew_however_quick_a_kept_one_was(
    workspace: Workspace,
) -> None:
    quick = (Expectation("latency", threshold=100.0),)
    cases = (
        Case("a", "a plain one", ()),
        Case("b", "a timed one", (Expectation("assert-set", value=quick),)),
        Case("c", "one more", quick),
    )
    known = Identity(engine="x", model="m", digest="d")
    for expected in (["a plain one", "a timed one", "one more"], ["a timed one", "one more"]):
        endpoint = Scripted("e", lambda question: "ok")
        assert await Side(workspace, endpoint, wanted=Suite("s", "", Path(), cases), identity=known).ask()
        assert sorted(question.prompt for question in endpoint.asked) == expected
