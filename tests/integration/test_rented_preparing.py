"""Before the first step on another machine: the engine is installed there once, or one message says why not."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from fakes import worker
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.layout import Workspace
from rented_runs import ended, events, follow_until, kill, new_run
from ssh_servers import SshServer, add_host, fake_python, processes_of, ssh_server, until

# What a machine without the engine has as python3. `-m venv` makes an env whose python has it, after its `-m pip`.
BARE = """#!/bin/sh
case "$*" in
*find_spec*) echo 'lora-tui answers: torch'; exit 0;;
*"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp {pip} "$last/bin/python"; exit 0;;
esac
exec {here} "$@"
"""
PIP = """#!/bin/sh
case "$*" in
*"-m pip install"*)
  echo "$*" >> {folder}/pip.calls
  echo "Collecting torch"; while [ -e {folder}/slow ]; do sleep 0.05; done
  if [ -e {folder}/broken ]; then echo "ERROR: No matching distribution found for torch" >&2; exit 1; fi
  echo "Successfully installed"; exit 0;;
esac
exec {worker} "$@"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    folder = tmp_path / "bare"
    folder.mkdir()
    words = {
        "here": shlex.quote(sys.executable),
        "pip": shlex.quote(str(folder / "pip")),
        "folder": shlex.quote(str(folder)),
        "worker": shlex.quote(str(fake_python(tmp_path / "bin"))),
    }
    for name, text in (("python3", BARE), ("pip", PIP)):
        (folder / name).write_text(text.format(**words))
        (folder / name).chmod(0o755)
    with ssh_server(Path(os.environ["HOME"])) as found:
        found.path = str(folder)
        yield found
    for number in processes_of(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


@pytest.fixture
def run(workspace: Workspace, server: SshServer, tmp_path: Path) -> Run:
    add_host(workspace, server, tmp_path / "box")
    return new_run(workspace, tmp_path)


def _stage(run: Run) -> str:
    said = [event for event in events(run) if isinstance(event, journal.Progress)]
    return said[-1].stage if said else ""


def test_an_engine_is_installed_once_for_all_runs_and_where_that_fails_one_message_says_why(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "bare" / "broken").touch()
    supervisor.start(run)
    view = ended(run)
    assert view.state == "failed"
    assert "No matching distribution found for torch" in view.failure
    assert "install.log" in view.failure
    (tmp_path / "bare" / "broken").unlink()
    supervisor.start(run)
    assert ended(run).state == "finished"
    second = supervisor.create(workspace, run.file.job, "again")
    supervisor.start(second)
    assert ended(second).state == "finished"
    calls = (tmp_path / "bare" / "pip.calls").read_text().splitlines()
    assert len(calls) == 2
    assert "-py3-none-any.whl[train]" in calls[0]
    assert f"trl=={metadata.version('trl')}" in calls[0]


def test_an_installation_goes_on_over_drops_and_over_the_end_of_the_process_here(
    run: Run, server: SshServer, tmp_path: Path
) -> None:
    slow = tmp_path / "bare" / "slow"
    slow.touch()
    supervisor.start(run)
    until((tmp_path / "bare" / "pip.calls").exists, 30)
    server.abort()
    kill(run)
    supervisor.start(run)
    follow_until(run, lambda view: _stage(run).startswith("make the engine ready"), "the installation")
    slow.unlink()
    assert ended(run).state == "finished"
    assert len((tmp_path / "bare" / "pip.calls").read_text().splitlines()) == 1


def test_a_machine_whose_gpu_torch_cannot_use_trains_nothing(
    workspace: Workspace, server: SshServer, tmp_path: Path
) -> None:
    smi = tmp_path / "bare" / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034, 0'\n")
    smi.chmod(0o755)
    python = tmp_path / "old" / "python"
    python.parent.mkdir()
    said = "torch 2.14.1 is for CUDA 13.0, which the driver there does not have"
    here = shlex.quote(sys.executable)
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *cuda.is_available*) echo "lora-tui answers: {said}"; exit;; esac\nexec {here} "$@"\n'
    )
    python.chmod(0o755)
    add_host(workspace, server, tmp_path / "box", python=str(python))
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    view = ended(run)
    assert view.state == "failed"
    assert f"torch there cannot use its NVIDIA L4: {said}" in view.failure
    assert not (tmp_path / "box" / "jobs" / run.id / ".attempts").exists()


def test_a_run_that_is_stopped_before_its_first_step_starts_nothing_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare" / "slow").touch()
    supervisor.start(run)
    until((tmp_path / "bare" / "pip.calls").exists, 30)
    supervisor.stop(run)
    assert ended(run).state == "stopped"
    until(lambda: not processes_of(tmp_path / "box"), 10)
    (tmp_path / "bare" / "slow").unlink()
    supervisor.start(run)
    assert ended(run).state == "finished"


def test_a_run_stops_in_time_before_the_hours_of_its_machine_are_over(
    workspace: Workspace, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    add_host(workspace, server, tmp_path / "box", python=str(fake_python(tmp_path / "bin")))
    run = new_run(workspace, tmp_path, Box(provider="host", host="gpu", max_hours=20 / 3600))
    supervisor.start(run)
    view = ended(run)
    assert view.state == "stopped", view.failure
    assert view.step > 0
    assert (run.folder / "checkpoints" / f"checkpoint-{view.step}" / worker.WEIGHTS).is_file()
    assert any("hours are nearly over" in warning.message for warning in view.warnings)
    assert [event.reason for event in events(run) if isinstance(event, journal.Stopped)] == [
        "the hours of its machine are over"
    ]
