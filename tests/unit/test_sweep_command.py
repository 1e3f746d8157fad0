"""`lora-tui sweep`: what a person sees of one, and what is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import run_stories
from lora_tui.cli.main import run as lora_tui
from lora_tui.jobs import supervisor
from lora_tui.workspace.layout import Workspace


def say(workspace: Workspace, *words: str) -> int:
    """The command's exit code."""
    return lora_tui(["--workspace", str(workspace.root), *words])


def test_a_sweep_is_one_table_and_one_chart(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_stories.write_sweep(workspace)
    assert say(workspace, "sweep", "show") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0].split()[:2] == [run.id, "stopped"]
    (best,) = [line for line in lines if line.startswith("*")]
    assert best.split()[1:5] == ["1", "lr=1e-4", "r=8", "finished"]
    assert "1.217" in best
    assert any("lr=2e-4" in line and "failed" in line for line in lines)
    assert any("lr=5e-4" in line and "waits" in line for line in lines)
    assert "2: the disk is full Make room." in shown
    assert any(line.strip().startswith("1.") and "|" in line for line in lines), "the chart's axis"
    assert "best by eval loss: lr=1e-4 r=8 (1.2167)" in lines[-1]
    assert max(map(len, lines)) <= 120

    assert say(workspace, "sweep", "show", run_stories.SWEEP, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["best"], data["done"]) == (data["runs"][0]["run"], 2)
    assert data["runs"][0]["curve"] == [[20, pytest.approx(1.6)], [40, pytest.approx(2.3 / 3 + 0.45)]]
    assert say(workspace, "sweep", "list") == 0
    assert "2/3" in capsys.readouterr().out


def test_latest_is_the_sweep_and_not_one_of_its_runs(workspace: Workspace) -> None:
    run = run_stories.write_sweep(workspace)
    assert supervisor.find(workspace, "latest").id == run.id


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give either --grid or --list"),
        (["--grid", "lr=1e-4", "--list", "x"], "give either --grid or --list"),
        (["--grid", "lrr=1e-4,2e-4"], "unknown key"),
        (["--grid", "lr=fast,2e-4"], "training.learning_rate"),
        (["--grid", "r=" + ",".join(map(str, range(1, 100)))], "99 runs are too many"),
        (["--grid", "lr=1e-4,2e-4", "--by", "pass_rate", "--set", "verification.suite="], "names no suite"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_starts(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    run_stories.write_base(workspace)
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_dataset(workspace)
    assert say(workspace, "sweep", "tiny", "--dataset", "rust", *words) == 2
    assert says in capsys.readouterr().err
    assert not supervisor.runs(workspace)


def test_a_dry_run_shows_what_would_be_tried(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run_stories.write_base(workspace)
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_audit(workspace, run_stories.write_dataset(workspace))
    words = ("sweep", "tiny", "--dataset", "rust", "--grid", "epochs=1,2", "--grid", "r=4,8", "--dry-run")
    assert say(workspace, *words) == 0
    shown = capsys.readouterr().out
    assert "4 runs" in shown
    assert "epochs=2 r=4" in shown
    assert say(workspace, *words, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [run["steps"] for run in data["runs"]] == [4, 4, 8, 8]
    assert not supervisor.runs(workspace)
    assert Path(workspace.datasets).is_dir()
