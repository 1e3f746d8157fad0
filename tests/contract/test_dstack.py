"""What we write for dstack, read by dstack's own parser.

Runs when $DSTACK_PYTHON names an interpreter that has it (python -m venv DIR && DIR/bin/pip install dstack==0.22.5).
Nothing is sent anywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from exported_jobs import exported

PYTHON = os.environ.get("DSTACK_PYTHON", "")

pytestmark = pytest.mark.skipif(not PYTHON, reason="set DSTACK_PYTHON to a Python that has dstack to read it with it")

_PARSE = """
import json, sys, yaml
from dstack._internal.core.models.configurations import parse_run_configuration
task = parse_run_configuration(yaml.safe_load(open(sys.argv[1])))
print(json.dumps({
    "type": task.type, "name": task.name, "nodes": task.nodes or 1, "commands": task.commands,
    "gpu": task.resources.gpu.count.min, "memory": float(task.resources.gpu.memory.min), "seconds": task.max_duration,
    "env": sorted(task.env), "files": sorted(item.local_path for item in task.files),
}))
"""


def parsed(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PYTHON, "-c", _PARSE, str(path)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("nodes", [1, 2])
def test_dstack_reads_the_task_as_it_is_meant(tmp_path: Path, nodes: int) -> None:
    made = exported("dstack", tmp_path, nodes)
    answer = parsed(tmp_path / "out" / made.file)
    assert answer.returncode == 0, answer.stderr
    task: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    assert task == {
        "type": "task",
        "name": "build-rust-on-rust-1",
        "nodes": nodes,
        "commands": ["bash lora-tui/run.sh"],
        "gpu": 2,
        "memory": 24.0,
        "seconds": 6 * 3600,
        "env": ["HF_TOKEN", "LORA_TUI_KEEP_MINUTES"],
        "files": ["SHA256SUMS", "jobs", "run.sh", "store"],
    }


def test_dstack_refuses_a_key_that_it_does_not_know(tmp_path: Path) -> None:
    made = exported("dstack", tmp_path, 1)
    path = tmp_path / "out" / made.file
    path.write_text(path.read_text() + "no_such_key: 1\n")
    answer = parsed(path)
    assert answer.returncode != 0
    assert "no_such_key" in answer.stderr
