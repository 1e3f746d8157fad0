"""What is asked of a sweep reaches its run; a pause of that run is one of the sweep's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lora_tui.backends.sweeping import pass_on
from lora_tui.jobs.supervisor import PAUSE, STOP


class Folder:
    """As much of a run as is looked at."""

    def __init__(self, path: Path) -> None:
        self.folder: Any = path
        path.mkdir()

    def asked(self, what: str) -> Path:
        return self.folder / what


@pytest.fixture
def both(tmp_path: Path) -> tuple[Any, Any]:
    return Folder(tmp_path / "sweep"), Folder(tmp_path / "run")


def test_a_pause_of_the_sweep_comes_and_goes_with_it(both: tuple[Any, Any]) -> None:
    sweep, run = both
    sweep.asked(PAUSE).touch()
    paused = pass_on(sweep, run, False)
    assert run.asked(PAUSE).exists()
    sweep.asked(PAUSE).unlink()
    assert not pass_on(sweep, run, paused)
    assert not run.asked(PAUSE).exists()
    sweep.asked(STOP).touch()
    pass_on(sweep, run, False)
    assert run.asked(STOP).exists()


def test_a_pause_of_the_run_itself_is_not_taken_back_and_ends_from_either_place(both: tuple[Any, Any]) -> None:
    for first, second in (both, both[::-1]):
        both[1].asked(PAUSE).touch()
        assert pass_on(*both, False)
        assert pass_on(*both, True), "it stays asked"
        first.asked(PAUSE).unlink()
        assert not pass_on(*both, True)
        assert not second.asked(PAUSE).exists()
