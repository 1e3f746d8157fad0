"""Together's events and metrics as our journal's: both spellings, numbers kept, nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from lora_tui.backends.together.told import Place, measured, translated
from lora_tui.jobs import journal

PLACE = Place(job="ft-1", model="Qwen/Qwen3-8B", before=0, epochs=2.0, total=8)


@pytest.mark.parametrize("spelled", ["TRAINING_START", "training_start"])
def test_the_start_is_known_in_both_spellings_and_has_the_steps(spelled: str) -> None:
    found = translated({"type": spelled, "total_steps": 8, "message": "x"}, 3, PLACE)
    assert isinstance(found, journal.Started)
    assert (found.total_steps, found.origin, found.host) == (8, 3, "Together")


@pytest.mark.parametrize(
    ("event", "kind", "word"),
    [
        ({"type": "CHECKPOINT_SAVE", "step": 4}, journal.Checkpoint, "ft-1:4"),
        ({"type": "billing_limit", "message": "limit reached"}, journal.Warned, "limit reached"),
        ({"type": "epoch_complete", "level": "Warning", "message": "slow"}, journal.Warned, "Together: slow"),
        ({"type": "job_error", "level": "legacy_ierror", "message": "out of memory"}, journal.Warned, "out of memory"),
        ({"type": "model_uploading", "level": "Info", "message": "Uploading"}, journal.Note, "Together: Uploading"),
        ({"type": "a_kind_of_next_year", "message": ""}, journal.Note, "a kind of next year"),
    ],
)
def test_what_happens_there_is_told_here(event: dict[str, Any], kind: type, word: str) -> None:
    found = translated(event, 5, PLACE)
    assert isinstance(found, kind)
    assert word in str(found)
    assert found.origin == 5  # type: ignore[attr-defined]


def test_a_job_that_goes_on_from_a_checkpoint_counts_the_steps_of_the_run() -> None:
    place = Place(job="ft-2", model="m", before=4, epochs=3.0, total=12)
    begun = translated({"type": "training_start", "total_steps": 8}, 1, place)
    assert isinstance(begun, journal.Started)
    assert (begun.total_steps, begun.resumed_from) == (12, 4)
    rows = [{"train/global_step": step, "train/loss": 1.0, "train/learning_rate": 1e-4} for step in (1, 2)]
    assert [event.step for event in measured(rows, 4, 4, place, 0.0)] == [5, 6]


def test_metrics_that_were_taken_over_do_not_come_again_and_evaluations_stand_beside_them() -> None:
    rows: list[dict[str, Any]] = [
        {"train/global_step": 3.0, "train/loss": 1.5, "train/learning_rate": 1e-4, "train/grad_norm": float("nan")},
        {"train/global_step": 4.0, "train/loss": 1.2, "train/learning_rate": 1e-4, "eval/loss": 1.4},
        {"train/global_step": 5.0, "train/loss": 1.1, "train/learning_rate": 1e-4},
        {"eval/global_step": 8.0, "eval/loss": 1.3},
    ]
    found = list(measured(rows, 3, 0, PLACE, 10.0))
    assert [(type(event).__name__, event.step) for event in found] == [
        ("Metrics", 4),
        ("Evaluation", 4),
        ("Metrics", 5),
        ("Evaluation", 8),
    ]
    assert found[0].epoch == 1.0
    assert isinstance(found[0], journal.Metrics)
    assert found[0].step_seconds == 5.0
    assert list(measured(rows, 5, 8, PLACE, 10.0)) == []
