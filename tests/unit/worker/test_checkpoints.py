"""Which checkpoint a run goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.worker import checkpoints
from lora_tui.worker.checkpoints import Mark

FILES = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "adapter_model.safetensors")


def checkpoint(run: Path, step: int, *, mark: bool = True, without: str = "") -> Path:
    """A checkpoint folder as Trainer leaves it."""
    path = run / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    for name in FILES:
        if name != without:
            (path / name).write_text("x")
    if mark:
        checkpoints.mark_complete(path, Mark(step=step, tokens=step * 10))
    return path


def test_a_new_run_has_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) is None


def test_the_highest_step_wins_not_the_last_name(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        checkpoint(tmp_path, step)
    point = checkpoints.newest(tmp_path)
    assert point is not None
    assert point.mark == Mark(step=100, tokens=1000)


@pytest.mark.parametrize("missing", FILES)
def test_one_that_lacks_a_part_is_passed_over(tmp_path: Path, missing: str) -> None:
    checkpoint(tmp_path, 5)
    checkpoint(tmp_path, 10, without=missing)
    point = checkpoints.newest(tmp_path)
    assert point is not None
    assert point.mark.step == 5


def test_one_that_was_being_written_is_passed_over(tmp_path: Path) -> None:
    checkpoint(tmp_path, 5)
    checkpoint(tmp_path, 10, mark=False)
    (checkpoint(tmp_path, 15) / "COMPLETE").write_bytes(b"")
    point = checkpoints.newest(tmp_path)
    assert point is not None
    assert point.mark.step == 5
