"""Which checkpoint a run goes on from, and what is wrong with the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_tui.worker import checkpoints
from lora_tui.worker.checkpoints import Manifest

FILES = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "adapter_model.safetensors")


def draft(run: Path, step: int, *, without: str = "") -> Path:
    """The files of a checkpoint as Trainer writes them; returns where they are to end up."""
    path = checkpoints.path_of(run, step)
    made = checkpoints.draft_of(path)
    made.mkdir(parents=True)
    for name in FILES:
        if name != without:
            (made / name).write_text(f"{name} of {step}")
    return path


def checkpoint(run: Path, step: int, *, without: str = "") -> Path:
    """A checkpoint."""
    path = draft(run, step, without=without)
    return checkpoints.seal(path, Manifest(step=step, tokens=step * 10)).path


def steps(run: Path) -> list[int]:
    """Those that are there, by their names."""
    return sorted(int(path.name.removeprefix("checkpoint-")) for path in (run / "checkpoints").glob("checkpoint-*"))


def test_a_new_run_has_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path) == (None, [])


def test_the_highest_step_wins_not_the_last_name(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        checkpoint(tmp_path, step)
    point, passed = checkpoints.newest(tmp_path)
    assert point is not None
    assert (point.step, point.manifest.tokens, passed) == (100, 1000, [])


@pytest.mark.parametrize("missing", FILES)
def test_one_that_was_saved_without_a_part_is_passed_over(tmp_path: Path, missing: str) -> None:
    checkpoint(tmp_path, 5)
    checkpoint(tmp_path, 10, without=missing)
    point, passed = checkpoints.newest(tmp_path)
    assert point is not None
    assert point.step == 5
    assert [item.path.name for item in passed] == ["checkpoint-10"]
    assert ("optimizer" if missing == "optimizer.pt" else missing) in passed[0].reason


def _flip(path: Path) -> None:
    data = bytearray((path / "adapter_model.safetensors").read_bytes())
    data[3] ^= 1
    (path / "adapter_model.safetensors").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: (path / "optimizer.pt").unlink(), "optimizer.pt is missing"),
        (lambda path: (path / "optimizer.pt").write_bytes(b"opt"), "optimizer.pt has 3 bytes where 18 were written"),
        (_flip, "adapter_model.safetensors is not what was written"),
        (lambda path: (path / "manifest.json").unlink(), "never completed"),
        (lambda path: (path / "manifest.json").write_bytes(b"\0" * 40), "its manifest cannot be read"),
        (lambda path: shutil.rmtree(path.parent), None),
        (lambda path: shutil.copytree(path, path.parent / "checkpoint-12"), "its manifest is that of step 10"),
    ],
)
def test_a_damaged_one_is_passed_over_and_it_is_said_why(
    tmp_path: Path, damage: Callable[[Path], object], said: str | None
) -> None:
    checkpoint(tmp_path, 5)
    damage(checkpoint(tmp_path, 10))
    point, passed = checkpoints.newest(tmp_path)
    if said is None:  # all of them are gone
        assert (point, passed) == (None, [])
        return
    assert point is not None
    assert point.step == (10 if "step 10" in said else 5)
    assert said in passed[0].reason


def test_one_that_was_being_written_is_no_checkpoint_and_is_cleared_away(tmp_path: Path) -> None:
    checkpoint(tmp_path, 5)
    draft(tmp_path, 10)
    point, passed = checkpoints.newest(tmp_path)
    assert point is not None
    assert (point.step, passed) == (5, [])
    checkpoints.discard_drafts(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-5"]


def test_the_newest_and_the_best_are_kept_and_a_damaged_one_takes_nobodys_place(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20, 25):
        checkpoint(tmp_path, step)
    (checkpoints.path_of(tmp_path, 25) / "optimizer.pt").unlink()
    checkpoints.prune(tmp_path, keep=2, best=5)
    assert steps(tmp_path) == [5, 15, 20]


def test_a_checkpoint_that_was_damaged_is_replaced_when_its_step_is_made_again(tmp_path: Path) -> None:
    _flip(checkpoint(tmp_path, 10))
    checkpoint(tmp_path, 10)
    point, passed = checkpoints.newest(tmp_path)
    assert point is not None
    assert (point.step, passed) == (10, [])
