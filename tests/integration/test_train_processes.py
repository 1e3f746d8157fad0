"""A run in several processes: the same training, one journal, one outcome."""

from __future__ import annotations

import os
import shlex
import shutil
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
from lora_tui.workspace.profiles import Forgetting, Profile
from train_here import train_here

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

SAMPLES = (Prompt(prompt="Write function number 3."),)
SHORT_OF_MEMORY = """
# An allocator with room for one row at a time, in the second process, from the eighth micro-batch on.
import os

if os.environ.get("RANK") == "1":
    import torch

    embed, made = torch.nn.Embedding.forward, 0

    def forward(self, input):
        global made
        if torch.is_grad_enabled():
            made += 1
            if made > 7 and len(input) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory (fake)")
        return embed(self, input)

    torch.nn.Embedding.forward = forward
"""


def until(run: Run, condition: Callable[[RunView], object], seconds: float = 600) -> RunView:
    """Follow the run until `condition` holds of it, or fail."""
    view = RunView(run)
    while not condition(view):
        view.refresh()
        assert view.state in ("new", "running"), view.failure
        assert not supervisor.wait(run, 0.02) or view.refresh() or condition(view), "it ended early"
        seconds -= 0.02
        assert seconds > 0, "waited too long"
    return view


def ended(run: Run, seconds: float = 600) -> RunView:
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
    return msgspec.structs.replace(small_profile, lora=lora, training=training, forgetting=Forgetting(measure=False))


@pytest.fixture
def uneven(small_dataset: Path, tmp_path: Path) -> str:
    """A dataset whose rows two processes cannot share out evenly."""
    folder = tmp_path / "uneven"
    shutil.copytree(small_dataset, folder)
    (folder / "train.jsonl").write_text("".join((small_dataset / "train.jsonl").read_text().splitlines(True)[:19]))
    return str(folder)


@pytest.fixture
def alone(new_run: Callable[..., Run], steady: Profile, uneven: str) -> RunView:
    """The run in one process."""
    view = train_here(new_run(profile=steady, samples=SAMPLES, dataset=uneven))
    assert view.state == "finished", view.failure
    return view


def assert_same_training(view: RunView, alone: RunView) -> None:
    """Step by step."""
    assert view.state == "finished", view.failure
    assert view.started
    assert view.started.world_size == 2
    assert [event.step for event in view.metrics] == [event.step for event in alone.metrics]
    for mine, theirs in zip(alone.metrics, view.metrics, strict=True):
        assert theirs.loss == pytest.approx(mine.loss, abs=1e-4)
        assert theirs.grad_norm == pytest.approx(mine.grad_norm, rel=1e-3)
        assert theirs.tokens == mine.tokens
    assert [event.eval_loss for event in view.evaluations] == pytest.approx(
        [event.eval_loss for event in alone.evaluations], abs=1e-4
    )
    assert [event.answer for event in view.samples] == [event.answer for event in alone.samples]


def test_two_processes_train_as_one_does_also_where_one_of_them_runs_out_of_memory(
    new_run: Callable[..., Run],
    steady: Profile,
    alone: RunView,
    uneven: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = new_run(profile=steady, samples=SAMPLES, dataset=uneven, nproc=2)
    (tmp_path / "sitecustomize.py").write_text(SHORT_OF_MEMORY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    supervisor.start(together)
    view = ended(together)
    assert_same_training(view, alone)
    (word,) = view.out_of_memory
    assert (word.step, word.per_device_train_batch_size, word.gradient_accumulation_steps) == (8, 1, 2)
    events = journal.JournalReader(together.journal).read()
    assert sum(isinstance(event, journal.Finished) for event in events) == 1
    starts = [event.resumed_from for event in events if isinstance(event, journal.Started)]
    assert starts == [None, 5], "the second time from the checkpoint"
    assert not any(isinstance(event, journal.Failed) for event in events)


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
    until(run, lambda view: view.progress and len(ranks_of(run)) == 2)
    processes = ranks_of(run)
    supervisor.kill(run)
    assert ended(run).state == "failed"
    gone, alive = psutil.wait_procs(processes, timeout=5)
    assert len(gone) == 2
    assert not alive


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
    other = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=600)
    assert other.returncode == 0, other.stderr
    view = ended(run)
    assert view.state == "finished", view.failure
    assert view.started
    assert view.started.world_size == 2
    assert [event.step for event in view.metrics] == [1, 2]
    assert (run.folder / "adapter" / "adapter_model.safetensors").is_file()
