"""`lora-tui runs`: what it does to a run, and what it refuses to."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

import run_stories
from lora_tui.cli.main import cli
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def runs(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--workspace", str(workspace.root), "runs", *arguments])


@pytest.mark.parametrize("option", [[], ["--now"]])
def test_a_run_that_does_not_work_cannot_be_stopped(workspace: Workspace, option: list[str]) -> None:
    run_stories.write_finished(workspace)
    done = runs(workspace, "stop", *option)
    assert isinstance(done.exception, BadInput)
    assert done.exception.what == "this run is not working"


def test_a_run_that_was_ended_at_once_can_be_gone_on_with(workspace: Workspace) -> None:
    run = run_stories.write_live(workspace)
    child = run_stories.living(run)
    done = runs(workspace, "stop", "--now")
    child.wait()
    assert f"runs resume {run.id}" in done.output


@pytest.mark.parametrize(("error", "resumed"), [("", False), ("it does not answer", True)])
def test_a_finished_verification_goes_on_only_where_answers_are_missing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: str, resumed: bool
) -> None:
    suite = run_stories.write_suite(workspace, run_stories.PROMPTS)
    events = [journal.Answer(prompt=0, side="tuned", text="", error=error), journal.Finished(steps=10)]
    job = run_stories.verify_job(workspace, suite)
    run_stories.ended(run_stories.write_run(workspace, "20260921-131010-verify-dddd", job, "five", events))
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    done = runs(workspace, "resume", "--detach")
    assert bool(started) == resumed, done.output
    if not resumed:
        assert isinstance(done.exception, BadInput)
        assert "lora-tui verify" in done.exception.fix
