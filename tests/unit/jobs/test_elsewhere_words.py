"""What a run that works elsewhere says in its log, and what it has cost."""

from __future__ import annotations

import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.event_words import words
from lora_tui.jobs.story import Story


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (journal.Hiring(provider="runpod", label="lora-tui/r1"), "asks runpod for a machine (lora-tui/r1)"),
        (
            journal.Hired(provider="runpod", id="p1", name="RTX 4090", price_per_hour=0.34, max_hours=3),
            "rented from runpod: RTX 4090 at $0.34/h for at most 3 h (p1)",
        ),
        (journal.Hired(provider="host", id="den", name="RTX 4090"), "works on den"),
        (
            journal.Released(provider="runpod", id="p1", seconds=723, cost=0.0683),
            "p1 given back to runpod after 12 min 3 s, $0.07",
        ),
        (journal.Released(provider="vast", id=""), "vast gave no machine"),
        (journal.Remote(peer="together", kind="job", id="ft-1"), "together: job ft-1"),
        (journal.Remote(peer="together", kind="endpoint", id="e-1", gone=True), "together: endpoint e-1 is gone"),
        (
            journal.Charged(peer="together", what="training", amount=3.2, estimated=True),
            "together: training $3.20 (estimated)",
        ),
    ],
)
def test_events_elsewhere_in_words(event: journal.AnyEvent, said: str) -> None:
    assert words(event) == said


def cost(now: float, *events: journal.AnyEvent) -> float | None:
    story = Story()
    for event in events:
        story.fold(event)
    return story.spending.so_far(now)


def test_a_machine_costs_by_the_second_until_it_is_given_back() -> None:
    hired = journal.Hired(provider="runpod", id="p1", price_per_hour=0.36, time=1000.0)
    assert cost(2000.0, hired) == pytest.approx(0.1)
    assert cost(9000.0, hired, journal.Released(provider="runpod", id="p1", cost=0.2, time=3000.0)) == 0.2


GUESS = journal.Charged(peer="together", what="fine-tuning", amount=3.0, estimated=True)
JOB = journal.Remote(peer="together", kind="job", id="ft-1")
BILL = journal.Charged(peer="together", what="fine-tuning ft-1", amount=2.5)


def test_an_estimate_costs_nothing_until_there_is_a_job() -> None:
    assert cost(0.0, GUESS) is None
    assert cost(0.0, GUESS, JOB) == 3.0


def test_what_is_charged_replaces_its_estimate_and_adds_up() -> None:
    assert cost(0.0, GUESS, JOB, BILL) == 2.5
    assert cost(0.0, GUESS, JOB, BILL, journal.Charged(peer="together", what="endpoint", amount=1.0)) == 3.5


def test_a_second_job_of_the_same_run_is_estimated_beside_what_the_first_has_cost() -> None:
    again = journal.Remote(peer="together", kind="job", id="ft-2")
    second = journal.Charged(peer="together", what="fine-tuning", amount=2.0, estimated=True)
    assert cost(0.0, GUESS, JOB, BILL, second, again) == 4.5
    bill = journal.Charged(peer="together", what="fine-tuning ft-2", amount=1.5)
    assert cost(0.0, GUESS, JOB, BILL, second, again, bill) == 4.0


def test_a_run_here_costs_nothing_that_is_counted() -> None:
    assert cost(0.0, journal.Metrics(step=1, epoch=0.1, loss=1.0, learning_rate=1e-4)) is None
