"""What we write for SkyPilot, read by SkyPilot's own parser.

Runs when $SKYPILOT_PYTHON names an interpreter that has it (python -m venv DIR && DIR/bin/pip install
skypilot==0.14.1). Nothing is sent anywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from exported_jobs import exported

from lora_tui.backends.compare.gpus import known

PYTHON = os.environ.get("SKYPILOT_PYTHON", "")

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="set SKYPILOT_PYTHON to a Python that has skypilot to read it with it"
)

_PARSE = """
import json, sys, sky
task = sky.Task.from_yaml(sys.argv[1])
print(json.dumps({
    "name": task.name, "nodes": task.num_nodes, "run": task.run, "workdir": task.workdir,
    "gpus": sorted(name for item in task.resources for name in item.accelerators),
    "counts": sorted({int(n) for item in task.resources for n in item.accelerators.values()}),
    "disk": sorted({item.disk_size for item in task.resources}),
    "idle": sorted({item.autostop_config.idle_minutes for item in task.resources}),
    "down": sorted({item.autostop_config.down for item in task.resources}),
    "secrets": sorted(task.secrets),
}))
"""


def parsed(path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"HOME": str(home), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    return subprocess.run(
        [PYTHON, "-c", _PARSE, path.name], capture_output=True, text=True, timeout=120, cwd=path.parent, env=env
    )


@pytest.mark.parametrize("nodes", [1, 2])
def test_skypilot_reads_the_task_as_it_is_meant(tmp_path: Path, nodes: int) -> None:
    made = exported("skypilot", tmp_path, nodes)
    answer = parsed(tmp_path / "out" / made.file, tmp_path)
    assert answer.returncode == 0, answer.stderr
    task: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    assert task == {
        "name": "build-rust-on-rust-1",
        "nodes": nodes,
        "run": "bash run.sh\n",
        "workdir": ".",
        "gpus": sorted({kind.sky for kind in known()}),
        "counts": [2],
        "disk": [100],
        "idle": [30],
        "down": [False],
        "secrets": ["HF_TOKEN"],
    }


def test_skypilot_refuses_a_key_that_it_does_not_know(tmp_path: Path) -> None:
    made = exported("skypilot", tmp_path, 1)
    path = tmp_path / "out" / made.file
    path.write_text(path.read_text() + "no_such_key: 1\n")
    answer = parsed(path, tmp_path)
    assert answer.returncode != 0
    assert "no_such_key" in answer.stderr
