"""What was started for an export goes with it, also when it is killed without a word."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

_WORKS = """
import sys
from pathlib import Path
from lora_tui.adapters.exporting import llama_cpp
from lora_tui.adapters.exporting.work import Work
from lora_tui.jobs.journal import Journal
folder = Path(sys.argv[1])
work = Work(folder, Journal(folder / "journal.jsonl"))
if sys.argv[2] == "command":
    work.run(["sleep", "600"], folder / "printed")
else:
    with llama_cpp.loaded(work, folder / "model.gguf"):
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("what", ["command", "server"])
def test_a_killed_export_leaves_no_program_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    server = tmp_path / "bin" / "llama-server"
    server.parent.mkdir()
    server.write_text("#!/bin/sh\nexec sleep 600\n")
    server.chmod(0o755)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("PATH", f"{server.parent}:/usr/bin:/bin")
    export = subprocess.Popen([sys.executable, "-c", _WORKS, str(tmp_path), what])
    try:
        started = _until_it_has_a_child(psutil.Process(export.pid))
    finally:
        export.send_signal(signal.SIGKILL)
        export.wait()
    _, left = psutil.wait_procs([started], timeout=10)
    assert left == []


def _until_it_has_a_child(process: psutil.Process) -> psutil.Process:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in process.children():
            if child.name() == "sleep":
                return child
        time.sleep(0.05)
    raise AssertionError("it started nothing")
