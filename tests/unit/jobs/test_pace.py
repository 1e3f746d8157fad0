"""How long a run says it still takes, against what it then really takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.pace import Pace

_STEP, _EVALUATION = 2.0, 30.0
_EVERY = 10  # steps between evaluations


def run(steps: int, total: int = 200, *, pause_at: int = 0, jump_at: int = 0) -> Iterator[journal.AnyEvent]:
    """A run with steps of two seconds and an evaluation of half a minute every ten."""
    now = 1000.0
    yield journal.Started(pid=1, host="box", total_steps=total, time=now)
    for step in range(1, steps + 1):
        now += _STEP
        if step == jump_at:
            now += 50_000.0
        yield journal.Metrics(step=step, epoch=0.0, loss=1.0, learning_rate=1e-4, step_seconds=_STEP, time=now)
        if step == pause_at:
            yield journal.Paused(step=step, time=now)
            now += 3_600.0
            yield journal.Continued(step=step, time=now)
        if step % _EVERY == 0:
            now += _EVALUATION
            yield journal.Evaluation(step=step, epoch=0.0, eval_loss=1.0, time=now)


def told(*, left: int = 100, **story: int) -> float:
    pace = Pace()
    for event in run(100, **story):
        pace.feed(event)
    found = pace.to_go(left)
    assert found is not None
    return found.seconds


def test_time_to_go_counts_the_evaluations_still_to_come() -> None:
    true = 100 * _STEP + 100 / _EVERY * _EVALUATION
    assert told() == pytest.approx(true, rel=0.12)


@pytest.mark.parametrize("what", ["pause_at", "jump_at"])
@pytest.mark.parametrize("step", [50, 55])
def test_neither_a_pause_nor_a_clock_that_was_set_changes_the_time_to_go(what: str, step: int) -> None:
    assert told(**{what: step}) == pytest.approx(told(), rel=0.12)


def test_a_steady_pace_is_one_figure_and_an_unsteady_one_a_range() -> None:
    steady, unsteady = Pace(), Pace()
    for step in range(1, 40):
        for pace, length in ((steady, 2.0), (unsteady, 2.0 if step % 3 else 4.0)):
            event = journal.Metrics(step=step, epoch=0, loss=1, learning_rate=0, step_seconds=length, time=1.0)
            pace.feed(event)
    one, two = steady.to_go(10), unsteady.to_go(10)
    assert one is not None
    assert two is not None
    assert not one.noisy
    assert two.low < two.seconds + 1e-9 < two.high


def test_nothing_is_promised_before_the_first_step() -> None:
    assert Pace().to_go(10) is None
