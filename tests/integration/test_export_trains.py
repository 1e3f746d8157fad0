"""An exported job that is really trained by its script: on one machine, and on two that share no disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lora_tui.backends.export.exporting import export
from lora_tui.backends.export.machines import Machines
from lora_tui.jobs import journal

pytestmark = pytest.mark.engine


@pytest.fixture
def exported(new_run, tmp_path: Path, small_profile) -> Path:
    """The small job as a folder for dstack, two epochs long."""
    training = msgspec.structs.replace(small_profile.training, num_train_epochs=2)
    run = new_run(profile=msgspec.structs.replace(small_profile, training=training))
    file = msgspec.structs.replace(run.file, id="small")
    export("dstack", file, Machines(1, 1, 1, ()), tmp_path / "out")
    return tmp_path / "out"


@contextlib.contextmanager
def started(folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """run.sh at work in a process group of its own, of which nothing stays."""
    env = os.environ | {"LORA_TUI_PYTHON": sys.executable, "LORA_TUI_OUTPUT": str(folder / "back")} | more
    child = subprocess.Popen(
        ["bash", "run.sh"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def events(folder: Path) -> list[journal.AnyEvent]:
    return journal.JournalReader(folder / "journal.jsonl").read()


def test_the_script_trains_and_copies_the_adapter_out(exported: Path) -> None:
    with started(exported) as child:
        said, _ = child.communicate(timeout=200)
    assert child.returncode == 0, said
    assert (exported / "back" / "adapter" / "adapter_model.safetensors").stat().st_size > 0
    told = events(exported / "back")
    assert [event.step for event in told if isinstance(event, journal.Metrics)] == list(range(1, 11))
    assert isinstance(told[-1], journal.Finished)


def test_two_machines_that_share_no_disk_train_one_adapter(exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = {"NNODES": "2", "NPROC": "1", "MASTER_ADDR": f"127.0.0.1:{port}"}
    with started(exported, NODE_RANK="0", **both) as first, started(other, NODE_RANK="1", **both) as second:
        said, _ = first.communicate(timeout=200)
        also, _ = second.communicate(timeout=60)
    assert first.returncode == 0, said
    assert second.returncode == 0, also
    told = events(exported / "back")
    (began,) = (event for event in told if isinstance(event, journal.Started))
    assert began.world_size == 2
    assert [event.step for event in told if isinstance(event, journal.Metrics)] == list(range(1, 11))
    assert (exported / "back" / "adapter" / "adapter_model.safetensors").is_file()
    assert not (other / "back").exists()
