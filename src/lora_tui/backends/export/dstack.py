"""A job as a dstack task (.dstack.yml). Format: dstack 0.22's task configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lora_tui.backends.export.machines import Machines
from lora_tui.jobs.job import JobFile

FILE = ".dstack.yml"
PROGRAM = "dstack"
_FOLDER = "lora-tui"  # in the container
_LIMIT = 2 * 1024**2  # bytes of a server's default
_KEEP_MINUTES = "30"  # a container's disk is gone with it


def configuration(
    file: JobFile, wanted: Machines, parts: Sequence[str], env: Sequence[str], hours: float
) -> dict[str, Any]:
    """The task: these parts of the exported folder are copied to every node, and run.sh started there.

    env: names of variables whose values dstack takes from the shell that applies it.
    """
    task: dict[str, Any] = {
        "type": "task",
        "name": name(file),
        "files": [{"local_path": part, "path": f"{_FOLDER}/{part}"} for part in parts],
        "env": [f"LORA_TUI_KEEP_MINUTES={_KEEP_MINUTES}", *env],
        "commands": [f"bash {_FOLDER}/run.sh"],
        "resources": {
            "gpu": {"memory": f"{wanted.memory_gb}GB..", "count": wanted.gpus},
            "disk": f"{wanted.disk_gb}GB..",
            "shm_size": "16GB",
        },
        "max_duration": f"{max(1, round(hours * 60))}m",
    }
    if wanted.nodes > 1:
        task["nodes"] = wanted.nodes
    return task


def name(file: JobFile) -> str:
    """A run's name there: small letters, digits and hyphens, 41 at most, the first a letter."""
    plain = re.sub(r"[^a-z0-9]+", "-", file.id.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"run-{plain}")[:41].rstrip("-")


def command() -> list[str]:
    """What starts it, in the exported folder."""
    return [PROGRAM, "apply", "--file", FILE]


def note(size: int) -> str:
    """What is to be known of so many bytes; empty: nothing."""
    if size <= _LIMIT:
        return ""
    return "a dstack server takes 2 MB of files unless it was started with DSTACK_SERVER_CODE_UPLOAD_LIMIT=0 (no limit)"


def fetching(file: JobFile, folder: str) -> str:
    """How the adapter comes back, in words."""
    return f"when it waits at its end: scp -r {name(file)}:{_FOLDER}/{folder}/adapter ."
