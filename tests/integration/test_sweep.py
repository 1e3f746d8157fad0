"""A sweep as a person lives with it: killed, gone on with, one run of it failing, the best one kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.adapters import registry
from lora_tui.backends import sweep, trials
from lora_tui.backends.sweep import Prepared
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Forgetting, Profile

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def until(condition: Callable[[], Any], seconds: float = 600) -> None:
    """Wait for `condition`, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def three(tiny_base: Path, small_dataset: Path, small_profile: Profile) -> list[Prepared]:
    """Three runs of two steps: one that learns little, one that cannot be, one that learns more."""

    def one(setting: str, lora: dict[str, Any], training: dict[str, Any]) -> Prepared:
        profile = msgspec.structs.replace(
            small_profile,
            forgetting=Forgetting(measure=False),
            lora=msgspec.structs.replace(small_profile.lora, **lora),
            training=msgspec.structs.replace(
                small_profile.training, max_steps=2, eval_steps=1, report_to=(), **training
            ),
        )
        job = Train(profile=profile, base=str(tiny_base), dataset=str(small_dataset), dataset_name="small@1")
        return Prepared((setting,), job, (), steps=2)

    return [
        one("training.learning_rate=1e-6", {}, {"learning_rate": 1e-6}),
        one('lora.target_modules=["nothing"]', {"target_modules": ("nothing",)}, {}),
        one("training.learning_rate=2e-2", {}, {"learning_rate": 2e-2}),
    ]


def states(run: Run) -> list[str]:
    """Of the sweep's runs, in order."""
    return [item.state for item in trials.outcomes(run)]


def test_a_killed_sweep_goes_on_and_keeps_the_best(workspace: Workspace, three: list[Prepared]) -> None:
    run = sweep.start(workspace, three, "eval_loss")
    assert states(run)[1:] == ["new", "new"]
    until(lambda: RunView.of(run).tried)
    until(lambda: states(run)[1] != "new")
    supervisor.kill(run)
    assert supervisor.wait(run, 30)
    assert RunView.of(run).state == "failed"
    assert not any(supervisor.is_alive(trials.run_of(run, trial)) for trial in run.file.job.trials)  # type: ignore[union-attr]
    first = trials.outcomes(run)[0]

    supervisor.start(run)
    until(lambda: states(run)[2] == "running")
    supervisor.stop(run)
    assert supervisor.wait(run, 600)
    assert RunView.of(run).state == "stopped"
    supervisor.start(run)
    until(lambda: states(run)[2] == "running")
    supervisor.pause(run)
    until(lambda: RunView.of(run).standing == "paused")
    with pytest.raises(BadInput, match="no checkpoint of its own"):
        supervisor.checkpoint(run)
    supervisor.unpause(run)
    until(lambda: not RunView.of(run).paused)
    assert supervisor.wait(run, 600)

    view = RunView.of(run)
    assert view.state == "finished", view.failure
    again, broken, best = trials.outcomes(run)
    assert again == first
    assert broken.state == "failed"
    assert "none of the modules" in broken.reason
    assert best.state == "finished"
    assert best.eval_loss is not None
    assert again.eval_loss is not None
    assert best.eval_loss < again.eval_loss
    assert [step for step, _ in best.curve] == [1, 2]
    assert isinstance(view.last_word, journal.Finished)
    assert view.last_word.output == best.run
    assert (view.step, view.total_steps) == (3, 3)
    assert [item.metadata.run for item in registry.register_finished(workspace)] == [best.run]
    assert supervisor.find(workspace, "latest").id == run.id
