"""A job as a SkyPilot task (skypilot.yaml). Format: SkyPilot 0.14's task YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lora_tui.backends.export import dstack
from lora_tui.backends.export.machines import Machines
from lora_tui.jobs.job import JobFile
from lora_tui.workspace.errors import BadInput

FILE = "skypilot.yaml"
PROGRAM = "sky"
_IDLE_MINUTES = 30  # after which the machines are stopped, their disks kept


def configuration(file: JobFile, wanted: Machines, env: Sequence[str]) -> dict[str, Any]:
    """The task: the exported folder is its working folder.

    env: names of variables whose values are given when it is launched. Raises BadInput where SkyPilot knows none of
    the GPUs by name.
    """
    names = list(dict.fromkeys(kind.sky for kind in wanted.kinds if kind.sky))
    if not names:
        raise BadInput("SkyPilot has none of the GPUs that hold it", fix="Export it for dstack.")
    task: dict[str, Any] = {
        "name": name(file),
        "workdir": ".",
        "num_nodes": wanted.nodes,
        "resources": {
            "accelerators": dict.fromkeys(names, wanted.gpus),
            "disk_size": wanted.disk_gb,
            "autostop": {"idle_minutes": _IDLE_MINUTES, "down": False},
        },
        "run": "bash run.sh\n",
    }
    if env:
        task["secrets"] = dict.fromkeys(env, "")
    return task


def name(file: JobFile) -> str:
    """The cluster's name."""
    return dstack.name(file)


def command(file: JobFile, env: Sequence[str]) -> list[str]:
    """What starts it, in the exported folder; values of `env` come from the shell."""
    passed = [part for variable in env for part in ("--secret", variable)]
    return [PROGRAM, "launch", "--cluster", name(file), *passed, FILE]


def fetching(file: JobFile, folder: str) -> str:
    """How the adapter comes back, in words."""
    return f"scp -r {name(file)}:sky_workdir/{folder}/adapter . and then: sky down {name(file)}"
