"""A run in several processes: the same training, one journal, one outcome."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import psutil
import pytest

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Prompt
from lora_tui.jobs.supervisor import Process, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def until(run: Run, condition: Callable[[RunView], object], seconds: float = 120) -> RunView:
    """Follow the run until `condition` holds of it, or fail."""
    view = RunView(run)
    while not condition(view):
        view.refresh()
        assert view.state in ("new", "running"), view.failure
        assert not supervisor.wait(run, 0.02) or view.refresh() or condition(view), "it ended early"
        seconds -= 0.02
        assert seconds > 0, "waited too long"
    return view


def ended(run: Run, seconds: float = 120) -> RunView:
    """The run when its process has ended."""
    assert supervisor.wait(run, seconds)
    return RunView.of(run)


def ranks_of(run: Run) -> list[psutil.Process]:
    """The training processes of a run, by rank."""
    launcher = psutil.Process(toml.load(run.folder / "process.toml", Process).pid)
    return sorted(launcher.children(), key=lambda child: int(child.environ()["RANK"]))


@pytest.fixture
def steady(small_profile: Profile) -> Profile:
    """The small profile without dropout, whose random numbers every process draws for itself."""
    lora = msgspec.structs.replace(small_profile.lora, lora_dropout=0.0)
    training = msgspec.structs.replace(small_profile.training, num_train_epochs=2, eval_steps=5)
    return msgspec.structs.replace(small_profile, lora=lora, training=training)


def test_two_processes_train_as_one_does(new_run: Callable[..., Run], steady: Profile) -> None:
    samples = (Prompt(prompt="Write function number 3."),)
    alone, together = (new_run(profile=steady, samples=samples, nproc=number) for number in (1, 2))
    supervisor.start(alone)
    one = ended(alone)
    supervisor.start(together)
    two = ended(together)
    assert one.state == two.state == "finished", (one.failure, two.failure)
    assert one.started
    assert two.started
    assert (one.started.world_size, two.started.world_size) == (1, 2)
    assert [event.step for event in two.metrics] == [event.step for event in one.metrics]
    for mine, theirs in zip(one.metrics, two.metrics, strict=True):
        assert theirs.loss == pytest.approx(mine.loss, abs=1e-4)
        assert theirs.grad_norm == pytest.approx(mine.grad_norm, rel=1e-3)
        assert theirs.tokens == mine.tokens
    assert [event.eval_loss for event in two.evaluations] == pytest.approx(
        [event.eval_loss for event in one.evaluations], abs=1e-4
    )
    assert [event.answer for event in two.samples] == [event.answer for event in one.samples]
    assert not two.warnings
    events = journal.JournalReader(together.journal).read()
    assert sum(isinstance(event, journal.Finished) for event in events) == 1
    assert sum(isinstance(event, journal.Started) for event in events) == 1
