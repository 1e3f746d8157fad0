"""Watching and steering runs from other terminals: real processes, real commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lora_tui.cli.main import cli
from lora_tui.jobs import attached, journal, supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_TRAINER = """
import sys, time, torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Trainer, TrainerCallback, TrainingArguments
class Rows(torch.utils.data.Dataset):
    def __len__(self): return 32
    def __getitem__(self, index):
        ids = torch.arange(8) + index % 8
        return {"input_ids": ids, "labels": ids}
class Slow(TrainerCallback):
    def on_step_end(self, *_, **__): time.sleep(0.15)
model = Qwen2ForCausalLM(Qwen2Config(vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2))
how = TrainingArguments(sys.argv[1], max_steps=12, per_device_train_batch_size=4, logging_steps=1,
    eval_strategy="steps", eval_steps=4, save_steps=4, report_to="tensorboard", use_cpu=True,
    load_best_model_at_end=True)
Trainer(model, how, train_dataset=Rows(), eval_dataset=Rows(), callbacks=[Slow()]).train()
"""


def runs(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--workspace", str(workspace.root), "runs", *arguments])


def said(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def working(new_run: Callable[..., Run]) -> Iterator[Run]:
    """A run that has made its first step."""
    run = new_run()
    supervisor.start(run)
    view = RunView(run)
    until(lambda: bool(view.refresh() or True) and (view.step >= 1 or view.state == "failed"))
    yield run
    supervisor.kill(run)
    supervisor.wait(run, 10)


def test_a_run_is_paused_saved_and_let_go_on_from_another_terminal(workspace: Workspace, working: Run) -> None:
    assert "paused after step" in said(runs(workspace, "pause"))
    (listed,) = json.loads(said(runs(workspace, "list", "--json")))
    assert listed["state"] == "paused"
    step = RunView.of(working).step
    time.sleep(0.6)
    assert RunView.of(working).step == step, "a paused run makes no step"
    refused = runs(workspace, "checkpoint").exception
    assert isinstance(refused, BadInput)
    assert "runs resume" in refused.fix

    said(runs(workspace, "resume", "--detach"))
    before = len(RunView.of(working).checkpoints)
    assert "checkpoints/checkpoint-" in said(runs(workspace, "checkpoint"))
    assert len(RunView.of(working).checkpoints) > before

    said(runs(workspace, "pause"))
    assert "stopped at step" in said(runs(workspace, "stop"))
    assert RunView.of(working).state == "stopped", "a paused run stops with a checkpoint"

    followed = said(runs(workspace, "resume", "--json"))
    assert json.loads(followed[followed.index("{\n") :])["state"] == "finished"
    lines = said(runs(workspace, "follow")).splitlines()
    steps = [line for line in lines if line.startswith("step ") and "lr " in line]
    assert all(word in steps[5] for word in ("smoothed", "grad norm", "tokens/s", "to go", "epoch"))
    events = [json.loads(line) for line in said(runs(workspace, "follow", "--json")).splitlines()]
    assert {"paused", "continued", "stopped", "finished"} <= {event["type"] for event in events}


def test_a_training_with_transformers_alone_is_followed_while_it_works(workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "theirs"
    log = (tmp_path / "log").open("wb")
    child = subprocess.Popen([sys.executable, "-c", _TRAINER, str(out)], stdout=log, stderr=log)
    until(lambda: attached.kind(out) == "foreign" or child.poll() is not None)
    said(runs(workspace, "attach", str(out)))
    printed = said(runs(workspace, "follow", "foreign-theirs", "--json"))
    assert child.wait(60) == 0, (tmp_path / "log").read_text()
    events = [json.loads(line) for line in printed.splitlines()]
    steps: list[dict[str, Any]] = [event for event in events if event["type"] == "metrics"]
    assert [event["step"] for event in steps] == list(range(1, 13))
    assert max(event["step_seconds"] for event in steps) > 0.1
    (state,) = json.loads(said(runs(workspace, "list", "--json")))
    assert (state["state"], state["total_steps"], state["step"]) == ("finished", 12, 12)
    told = json.loads((out / "checkpoint-12" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in told if "loss" in entry]
    assert [event["loss"] for event in steps] == pytest.approx(losses, rel=1e-5)
    evaluated = [event["eval_loss"] for event in events if event["type"] == "eval"]
    assert evaluated == pytest.approx([entry["eval_loss"] for entry in told if "eval_loss" in entry], rel=1e-5)
    assert len(state["checkpoints"]) == 3

    for path in (out / "runs").rglob("*tfevents*"):  # without them, what the checkpoints tell is the same
        path.unlink()
    view = RunView.of(attached.find(workspace, "foreign-theirs"))
    assert [item.loss for item in view.metrics] == pytest.approx(losses)
    assert view.state == "finished"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_users_run_can_be_watched_and_not_touched(workspace: Workspace, tmp_path: Path, working: Run) -> None:
    script = f"""
    import os, sys
    from pathlib import Path
    from lora_tui.jobs import attached, supervisor
    from lora_tui.jobs.view import RunView
    from lora_tui.workspace.errors import BadInput
    from lora_tui.workspace.layout import Workspace
    os.setgid(65534), os.setuid(65534)
    mine = Workspace(Path({str(tmp_path / "mine")!r}))
    (run,) = attached.attach(mine, Path({str(workspace.root)!r}), 1.0)
    view = RunView.of(run)
    print(view.state, view.step > 0)
    for ask in (supervisor.stop, supervisor.pause, supervisor.checkpoint, supervisor.kill, supervisor.start):
        try:
            ask(run)
        except BadInput as error:
            print(error.what)
    """
    (tmp_path / "mine").mkdir(mode=0o777)
    (tmp_path / "mine").chmod(0o777)
    opened = [folder for folder in (workspace.root, *workspace.root.parents) if not folder.stat().st_mode & 0o001]
    for folder in opened:
        folder.chmod(folder.stat().st_mode | 0o055)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[0] == "running True", done.stderr
    assert lines[1:] == ["this run is not yours: you may read it, no more"] * 5
    assert supervisor.is_alive(working)
    assert not (working.folder / supervisor.STOP).exists()


def test_following_a_run_ends_with_ctrl_c_and_the_run_goes_on(workspace: Workspace, working: Run) -> None:
    said(runs(workspace, "pause"))
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "runs", "follow"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests themselves may run where it is ignored
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    while "paused" not in child.stdout.readline():
        pass
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    assert supervisor.is_alive(working)
    assert isinstance(RunView.of(working).last_word, journal.Started)
