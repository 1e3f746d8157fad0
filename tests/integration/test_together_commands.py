"""What `lora-tui runs` does with a run that Together trains: one process here, any number of terminals."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from fakes.together import FakeTogether
from lora_tui.backends.together import pricing
from lora_tui.cli.main import run as command
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from together_runs import at_step, conducted, dataset_of, events, run_of, service


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as found:
        yield found


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    return dataset_of(workspace, tmp_path)


@pytest.fixture
def said(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: str) -> tuple[int, str, str]:
        code = command(["--workspace", str(workspace.root), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_from_any_terminal_it_is_seen_refused_what_it_cannot_stopped_and_resumed_once(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, said: Callable[..., Any]
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    supervisor.start(run)
    at_step(fake, "ft-1", 6)
    began = time.monotonic()
    for asked, told in (("pause", "cannot be paused"), ("checkpoint", "cannot be asked for a checkpoint")):
        code, _, err = said("runs", asked, run.id)
        assert (code, told in err) == (2, True)
    assert time.monotonic() - began < 5, "it is refused at once"
    code, _, err = said("runs", "resume", run.id)
    assert (code, "this run is working already" in err) == (2, True)
    code, out, _ = said("runs", "stop", run.id)
    assert (code, f"stopped at step 6; go on with `lora-tui runs resume {run.id}`" in out) == (0, True)
    assert fake.jobs.jobs["ft-1"].status == "cancelled"
    code, out, _ = said("runs", "show", run.id, "--json")
    assert (code, json.loads(out)["cost_usd"]) == (0, pytest.approx(1.65))
    fake.jobs.hold_at = None
    began_by: list[object] = []

    def resumed() -> None:
        try:
            supervisor.start(run)
            began_by.append("started")
        except BadInput as error:
            began_by.append(error.what)

    terminals = [threading.Thread(target=resumed) for _ in range(2)]
    for terminal in terminals:
        terminal.start()
    for terminal in terminals:
        terminal.join()
    assert sorted(map(str, began_by)) == ["started", "this run is working already"]
    code, out, _ = said("runs", "follow", run.id)
    assert (code, "step    12/12" in out, "$2.20" in out) == (0, True, True)
    assert list(fake.jobs.jobs) == ["ft-1", "ft-2"]
    code, out, _ = said("runs", "list", "--json")
    (row,) = [row for row in json.loads(out) if row["id"] == run.id]
    assert (row["state"], row["step"], row["cost_usd"]) == ("finished", 12, pytest.approx(3.85))


def test_killed_at_once_it_says_that_the_job_may_go_on_there(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, said: Callable[..., Any]
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    fake.fail("cancel", 500, times=1000)  # the request to end it there does not get through
    supervisor.start(run)
    at_step(fake, "ft-1", 6)
    code, _, err = said("runs", "stop", run.id, "--now", "--wait", "0.5")
    assert (code, "ask again with --now" in err) == (1, True)
    code, _, err = said("runs", "stop", run.id, "--now")
    assert code == 0
    assert "the job ft-1 may go on at together and cost" in err
    assert "lora-tui together jobs cancel ft-1" in err
    fake.mend()
    assert said("together", "jobs", "cancel", "ft-1")[0] == 0


def test_ctrl_c_at_the_question_agrees_to_nothing(
    workspace: Workspace,
    dataset: Dataset,
    fake: FakeTogether,
    said: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(question: str, **_: object) -> bool:
        raise click.Abort

    monkeypatch.setattr("lora_tui.backends.audits.ensure", lambda *_, **__: (_ for _ in ()).throw(BadInput("none")))
    monkeypatch.setattr("lora_tui.cli.train_elsewhere._watched", lambda: True)
    monkeypatch.setattr("click.confirm", interrupted)
    code, _, _ = said("train", "gerbil", "--dataset", "small", "--backend", "together")
    assert code not in (0, None)
    (run,) = [run for run in supervisor.runs(workspace) if run.id.endswith(latest(workspace))]
    assert "nobody has agreed yet to what it would cost, $3.30" in conducted(run).failure
    assert fake.jobs.jobs == {}


def latest(workspace: Workspace) -> str:
    return supervisor.find(workspace, "latest").id


def moved(workspace: Workspace, run: Run, to: Path) -> Run:
    """The run as it is found after the workspace's folder was moved."""
    workspace.root.rename(to)
    return supervisor.find(Workspace(to), run.id)


def test_a_workspace_that_was_moved_goes_on_with_what_is_paid_for(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, tmp_path: Path
) -> None:
    run = run_of(workspace, dataset)
    pricing.estimate(run)
    fake.fail("download", 500, times=1000)
    assert conducted(run).state == "failed"
    fake.mend()
    view = conducted(moved(workspace, run, tmp_path / "elsewhere"))
    assert view.state == "finished", view.failure
    assert list(fake.jobs.jobs) == ["ft-1"]


def test_a_workspace_that_was_moved_before_the_upload_finds_its_dataset(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, tmp_path: Path
) -> None:
    run = moved(workspace, run_of(workspace, dataset), tmp_path / "elsewhere")
    view = conducted(run)
    assert view.state == "finished", view.failure
    assert isinstance(events(run)[-1], journal.Finished)
    assert not workspace.root.exists()
