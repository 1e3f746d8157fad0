"""A run in several processes: the same training, one journal, one outcome."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from lora_tui.backends.processes import asked, for_other_machines
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Prompt
from lora_tui.jobs.supervisor import Process, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def until(run: Run, condition: Callable[[RunView], object], seconds: float = 300) -> RunView:
    """Follow the run until `condition` holds of it, or fail."""
    view = RunView(run)
    while not condition(view):
        view.refresh()
        assert view.state in ("new", "running"), view.failure
        assert not supervisor.wait(run, 0.02) or view.refresh() or condition(view), "it ended early"
        seconds -= 0.02
        assert seconds > 0, "waited too long"
    return view


def ended(run: Run, seconds: float = 300) -> RunView:
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


def test_what_is_asked_of_a_run_reaches_every_process_at_the_same_step(
    new_run: Callable[..., Run], steady: Profile
) -> None:
    run = new_run(profile=steady, nproc=2)
    supervisor.start(run)
    until(run, lambda view: view.step >= 1)
    supervisor.pause(run)
    paused = until(run, lambda view: view.paused)
    supervisor.checkpoint(run)
    supervisor.unpause(run)
    until(run, lambda view: view.checkpoints)
    launcher = toml.load(run.folder / "process.toml", Process).pid
    os.kill(launcher, signal.SIGTERM)
    stopped = ended(run)
    assert stopped.state == "stopped", stopped.failure
    assert isinstance(stopped.last_word, journal.Stopped)
    assert paused.step < stopped.last_word.step < 10
    names = {path.name for path in (run.folder / stopped.last_word.checkpoint).iterdir()}
    assert {"adapter_model.safetensors", "optimizer.pt", "rng_state_0.pth", "rng_state_1.pth"} <= names

    supervisor.start(run)
    resumed = until(
        run, lambda view: view.started and view.started.resumed_from and view.step > view.started.resumed_from
    )
    processes = ranks_of(run)
    assert len(processes) == 2
    processes[1].kill()
    failed = ended(run)
    assert failed.state == "failed"
    assert "process 1 of the run was ended by SIGKILL" in failed.failure
    assert resumed.started
    assert resumed.started.resumed_from == stopped.last_word.step
    events = journal.JournalReader(run.journal).read()
    assert sum(isinstance(event, journal.Failed) for event in events) == 1
    assert not any(process.is_running() for process in processes)


def test_no_process_outlives_a_run_that_is_killed(new_run: Callable[..., Run], steady: Profile) -> None:
    run = new_run(profile=steady, nproc=2)
    supervisor.start(run)
    until(run, lambda view: view.progress)
    processes = ranks_of(run)
    supervisor.kill(run)
    assert ended(run).state == "failed"
    gone, alive = psutil.wait_procs(processes, timeout=5)
    assert len(gone) == 2
    assert not alive


def test_what_is_wrong_is_said_once_however_many_processes_find_it(new_run: Callable[..., Run], tmp_path: Path) -> None:
    run = new_run(base=str(tmp_path / "nowhere"), nproc=2)
    supervisor.start(run)
    view = ended(run)
    assert view.state == "failed"
    assert "there is no base model here" in view.failure
    events = journal.JournalReader(run.journal).read()
    assert sum(isinstance(event, journal.Failed) for event in events) == 1


def test_two_machines_train_one_adapter(new_run: Callable[..., Run], steady: Profile) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    training = msgspec.structs.replace(steady.training, max_steps=2)
    profile = msgspec.structs.replace(steady, training=training)
    machines = asked(nnodes=2, address=f"127.0.0.1:{port}")
    run = new_run(profile=profile, nnodes=machines.nnodes, address=machines.address)
    (command,) = for_other_machines(run, machines)
    supervisor.start(run)
    program, *arguments = shlex.split(command)
    assert program.startswith("python")
    other = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300)
    assert other.returncode == 0, other.stderr
    view = ended(run)
    assert view.state == "finished", view.failure
    assert view.started
    assert view.started.world_size == 2
    assert [event.step for event in view.metrics] == [1, 2]
    assert (run.folder / "adapter" / "adapter_model.safetensors").is_file()
