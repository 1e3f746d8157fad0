"""A training run as a person lives with it: started, left, stopped, killed, taken up again."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_tui.adapters import registry
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Prompt, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]  # processes start slowly on a busy machine

STEPS = 20  # 20 rows, batch 2, accumulation 2, 4 epochs


def until(condition: Callable[[], bool], seconds: float = 200) -> None:
    """Wait for `condition`, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def ended(run: Run, seconds: float = 280) -> RunView:
    """The run when its process has ended."""
    assert supervisor.wait(run, seconds)
    return RunView.of(run)


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, small_dataset: Path, small_profile: Profile
) -> RunView:
    """A run started from a terminal that is closed while it trains, and otherwise left alone."""
    workspace = Workspace(tmp_path_factory.mktemp("uninterrupted"))
    job = Train(
        profile=small_profile,
        base=str(tiny_base),
        dataset=str(small_dataset),
        samples=(Prompt(prompt="Write function number 3."),),
    )
    run = supervisor.create(workspace, job, "uninterrupted")
    script = (
        "import signal, time; from lora_tui.jobs import supervisor; from lora_tui.workspace.layout import Workspace;"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # the tests themselves may run where it is ignored
        f"supervisor.start(supervisor.find(Workspace.locate({str(workspace.root)!r}), {run.id!r}));"
        "print('started', flush=True); time.sleep(600)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    until(lambda: (run.folder / "process.toml").is_file())
    until(lambda: any(isinstance(event, journal.Progress) for event in journal.JournalReader(run.journal).read()))
    os.killpg(child, signal.SIGHUP)
    os.close(terminal)
    os.waitpid(child, 0)
    assert supervisor.is_alive(run)
    return ended(run)


def test_a_run_outlives_the_terminal_it_was_started_from(uninterrupted: RunView) -> None:
    assert uninterrupted.state == "finished", uninterrupted.failure
    assert uninterrupted.total_steps == STEPS
    assert [event.step for event in uninterrupted.metrics] == list(range(1, STEPS + 1))


def test_the_journal_tells_the_whole_run(uninterrupted: RunView) -> None:
    first, last = uninterrupted.metrics[0], uninterrupted.metrics[-1]
    assert last.loss < first.loss
    assert last.tokens > first.tokens > 0
    assert last.tokens_per_second > 0
    assert last.grad_norm is not None
    assert len(uninterrupted.evaluations) == 4  # once per epoch
    assert [sample.step for sample in uninterrupted.samples] == [0, 5, 10, 15, 20]
    assert uninterrupted.started is not None
    assert uninterrupted.started.versions["trl"]
    finished = uninterrupted.last_word
    assert isinstance(finished, journal.Finished)
    assert finished.steps == STEPS
    assert (uninterrupted.run.folder / finished.output / "adapter_model.safetensors").is_file()


def test_a_stopped_run_resumes_as_if_nothing_had_happened(new_run: Callable[..., Run], uninterrupted: RunView) -> None:
    run = new_run()
    supervisor.start(run)
    view = RunView.of(run)
    until(lambda: bool(view.refresh() or True) and view.step >= 6)
    supervisor.stop(run)
    asked = time.time()
    stopped = ended(run)
    assert stopped.state == "stopped", stopped.failure
    word = stopped.last_word
    assert isinstance(word, journal.Stopped)
    known = max(event.step for event in stopped.metrics if event.time <= asked)
    assert word.step <= known + 2, "the step being made, and at most the one whose end it just missed"
    assert word.checkpoint == f"checkpoints/checkpoint-{word.step}"
    assert (run.folder / word.checkpoint / "manifest.json").is_file()

    supervisor.start(run)
    resumed = ended(run)
    assert resumed.state == "finished", resumed.failure
    assert resumed.started is not None
    assert resumed.started.resumed_from == word.step
    assert [event.step for event in resumed.metrics] == list(range(1, STEPS + 1))
    assert resumed.metrics[-1].loss == pytest.approx(uninterrupted.metrics[-1].loss, abs=1e-3)
    assert resumed.metrics[-1].tokens == uninterrupted.metrics[-1].tokens
    assert [event.step for event in resumed.evaluations] == [event.step for event in uninterrupted.evaluations]
    assert resumed.evaluations[-1].eval_loss == pytest.approx(uninterrupted.evaluations[-1].eval_loss, abs=1e-3)

    supervisor.start(run)
    again = ended(run)
    assert again.state == "finished"
    assert "finished already" in again.warnings[-1].message


def test_a_killed_run_says_so_and_resumes_from_its_last_complete_checkpoint(
    new_run: Callable[..., Run], uninterrupted: RunView
) -> None:
    run = new_run()
    supervisor.start(run)
    view = RunView.of(run)
    until(lambda: bool(view.refresh() or True) and bool(view.checkpoints))
    supervisor.kill(run)
    killed = ended(run)
    assert killed.state == "failed"
    assert "killed" in killed.failure
    half_written = run.folder / "checkpoints" / "checkpoint-99"  # what a kill while saving leaves
    half_written.mkdir()
    (half_written / "adapter_model.safetensors").write_bytes(b"half")

    supervisor.start(run)
    resumed = ended(run)
    assert resumed.state == "finished", resumed.failure
    assert resumed.started is not None
    assert resumed.started.resumed_from == killed.checkpoints[-1].step
    assert resumed.metrics[-1].loss == pytest.approx(uninterrupted.metrics[-1].loss, abs=1e-3)


def test_a_run_killed_between_its_adapter_and_its_last_word_is_finished_by_starting_it_again(
    workspace: Workspace, new_run: Callable[..., Run], uninterrupted: RunView
) -> None:
    run = new_run()
    lines = uninterrupted.run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join(line for line in lines if b'"type":"finished"' not in line))
    shutil.copytree(uninterrupted.run.folder / "adapter", run.folder / "adapter")

    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    told, said = uninterrupted.last_word, view.last_word
    assert isinstance(told, journal.Finished)
    assert isinstance(said, journal.Finished)
    assert (said.steps, said.loss, said.eval_loss, said.output) == (STEPS, told.loss, told.eval_loss, "adapter")
    assert [adapter.metadata.run for adapter in registry.register_finished(workspace)] == [run.id]


def test_sigterm_is_a_request_to_stop(new_run: Callable[..., Run]) -> None:
    run = new_run()
    supervisor.start(run)
    view = RunView.of(run)
    until(lambda: bool(view.refresh() or True) and view.step >= 1)
    os.kill(view.started.pid, signal.SIGTERM)  # type: ignore[union-attr]
    assert ended(run).state == "stopped"


def test_the_adapter_loads_in_peft_and_changes_what_the_base_says(uninterrupted: RunView, tiny_base: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    ids = tokenizer("<|im_start|>user\nWrite function number 3.<|im_end|>\n", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = base(input_ids=ids).logits
        tuned = PeftModel.from_pretrained(base, uninterrupted.run.folder / "adapter")
        after = tuned(input_ids=ids).logits
    assert (before - after).abs().max() > 0.1
    assert tuned.peft_config["default"].base_model_name_or_path == str(tiny_base)
