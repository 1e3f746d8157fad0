"""The story of a run on another machine: what is caught up with after an outage is not worked twice."""

from __future__ import annotations

from lora_tui.jobs import journal
from lora_tui.jobs.story import Story


def test_time_that_is_caught_up_with_counts_once() -> None:
    story = Story()
    story.fold(journal.Starting(time=1000.0))
    story.fold(journal.Started(time=1000.0, pid=1, host="box", origin=1))
    story.fold(journal.Warned(time=1060.0, message="connection lost"))
    for number in range(1, 8):
        step = journal.Metrics(
            time=1000.0 + 10 * number, step=number, epoch=0, loss=1, learning_rate=1, origin=number + 1
        )
        story.fold(step)
    assert story.worked == 70.0


def test_a_clock_that_was_set_adds_nothing_to_a_run_here() -> None:
    story = Story()
    for time in (5000.0, 1000.0, 1010.0):
        story.fold(journal.Note(time=time, message="x"))
    assert story.worked == 10.0
