"""Processes that work on a run: never two, and never mistaken for another."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import run_stories
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import TinyBase
from lora_tui.jobs.journal import JournalReader, Starting
from lora_tui.jobs.supervisor import Process, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose process does nothing, for long."""
    made = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    (made.folder / "sleeper.py").write_text("import time; time.sleep(600)")
    monkeypatch.setitem(supervisor._MODULES, TinyBase, "sleeper")
    return made


def starts(run: Run) -> bool:
    """Whether this caller's start was the one that counted."""
    try:
        supervisor.start(run)
    except BadInput:
        return False
    return True


def test_of_many_who_start_a_run_at_once_one_does(run: Run) -> None:
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda _: starts(run), range(6)))
    assert sorted(outcomes) == [False] * 5 + [True]
    assert sum(isinstance(event, Starting) for event in JournalReader(run.journal).read()) == 1
    supervisor.kill(run)
    assert supervisor.wait(run, 30)
    assert starts(run)
    supervisor.kill(run)
    assert supervisor.wait(run, 30)


def test_a_run_whose_starter_was_ended_in_the_middle_of_the_start_can_be_killed(run: Run) -> None:
    supervisor.start(run)
    (run.folder / "process.toml").unlink()
    supervisor.kill(run)
    assert supervisor.wait(run, 30)


def test_a_process_that_only_has_the_pid_of_an_earlier_run_is_not_that_run(run: Run) -> None:
    run_stories.ended(run)
    (run.folder / "process.toml").write_text(toml.dump(Process(pid=os.getpid())))
    assert not supervisor.is_alive(run)
    supervisor.kill(run)  # and ends nobody


@pytest.mark.parametrize("content", ["", "pid = ", "\0" * 20])
def test_a_damaged_process_file_hides_no_run(workspace: Workspace, run: Run, content: str) -> None:
    run_stories.ended(run)
    Path(run.folder / "process.toml").write_text(content)
    assert [RunView.of(item).state for item in supervisor.runs(workspace)] == ["failed"]


def test_of_many_processes_that_start_a_run_at_once_one_does_and_the_others_are_told(run: Run) -> None:
    script = (
        "import sys; from lora_tui.jobs import supervisor; from lora_tui.jobs.job import TinyBase;"
        "from lora_tui.workspace.layout import Workspace; from lora_tui.workspace.errors import LoraTuiError\n"
        "supervisor._MODULES[TinyBase] = 'sleeper'\n"
        "sys.stdin.readline()\n"
        "try: supervisor.start(supervisor.find(Workspace.locate(sys.argv[1]), sys.argv[2]))\n"
        "except LoraTuiError as error: sys.exit(str(error))\n"
    )
    command = [sys.executable, "-c", script, run.file.workspace, run.id]
    many = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for one in many:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[1] for one in many]
    assert sorted(one.returncode for one in many) == [0, 1, 1, 1]
    assert [text.startswith(f"this run is working already ({run.id})") for text in said if text] == [True] * 3
    assert sum(isinstance(event, Starting) for event in JournalReader(run.journal).read()) == 1
    supervisor.kill(run)
    assert supervisor.wait(run, 30)


def test_a_worker_started_by_hand_does_not_join_one_that_works(run: Run) -> None:
    supervisor.start(run)
    command = [sys.executable, "-m", "lora_tui.worker", str(run.folder / "job.toml")]
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2
    assert "this run is working already" in second.stderr
    supervisor.kill(run)
    assert supervisor.wait(run, 30)
