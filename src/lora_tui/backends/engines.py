"""The engines a run can train with: TRL, which is lora-tui's own, and Unsloth, which lives in an environment apart.

Unsloth needs other versions of transformers, TRL and datasets than lora-tui does, so the two share no environment. Its
Python is asked what it has, in a process of its own; a run trains there when it has what is needed, else with TRL.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

from lora_tui import __version__
from lora_tui.jobs import journal
from lora_tui.workspace.config import load_config
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

VARIABLE = "LORA_TUI_UNSLOTH_PYTHON"
_SECONDS = 60
_OLDEST = (7, 0)  # the compute capability from which Unsloth's kernels run: V100, T4 and later
# What is asked in Unsloth's environment. `import unsloth` itself patches half of transformers and fails without a GPU:
# the names of what is installed say as much.
_PROBE = """
import importlib.metadata as m, json
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return ""
found = {name: version(name) for name in ("unsloth", "lora-tui", "tensorboardX", "trl")}
gpu = ()
if found["unsloth"]:
    import torch
    gpu = torch.cuda.get_device_capability() if torch.cuda.is_available() else ()
print(json.dumps({"versions": found, "capability": gpu}))
"""


class Engine(msgspec.Struct, frozen=True):
    """One engine on this machine; `lacks` says why it cannot be used, empty when it can."""

    name: str
    python: str = ""
    version: str = ""
    lacks: str = ""
    fix: str = ""


class _Answer(msgspec.Struct, frozen=True):
    versions: dict[str, str]
    capability: tuple[int, ...]


def unsloth(workspace: Workspace) -> Engine:
    """Whether Unsloth can be used here. Takes seconds where it is installed, nothing where it is not."""
    python = _python(workspace)
    if not python:
        folder = workspace.root / "engines" / "unsloth"
        made = f"python -m venv {folder} && {folder}/bin/pip install lora-tui=={__version__} unsloth tensorboardX"
        return Engine("unsloth", lacks="not installed", fix=f"It needs an environment of its own: {made}")
    return probed(python)


def probed(python: str) -> Engine:
    """What the environment of `python` says of itself."""
    try:
        asked = subprocess.run(
            [python, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=os.environ | {"PYTHONPATH": ""},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Engine("unsloth", python, lacks=f"its Python does not answer: {error}", fix=f"Look at {python}.")
    try:
        answer = msgspec.json.decode(asked.stdout.strip().splitlines()[-1], type=_Answer)
    except (msgspec.DecodeError, IndexError):
        why = (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Engine("unsloth", python, lacks=f"its Python does not answer: {why}", fix=f"Look at {python}.")
    found = answer.versions
    pip = f"{python} -m pip install"
    if not found["unsloth"]:
        return Engine("unsloth", python, lacks="unsloth is not in its environment", fix=f"{pip} unsloth")
    if found["lora-tui"] != __version__:
        has = f"has lora-tui {found['lora-tui']}" if found["lora-tui"] else "has no lora-tui"
        return Engine(
            "unsloth",
            python,
            found["unsloth"],
            f"its environment {has}, not {__version__}",
            f"{pip} lora-tui=={__version__}",
        )
    if not answer.capability:
        return Engine("unsloth", python, found["unsloth"], "there is no GPU that it can use")
    if answer.capability < _OLDEST:
        version = ".".join(map(str, answer.capability))
        return Engine("unsloth", python, found["unsloth"], f"the GPU is too old: compute capability {version}")
    return Engine("unsloth", python, found["unsloth"])


def chosen(workspace: Workspace, profile: Profile, processes: int) -> tuple[Profile, str, list[journal.Warned]]:
    """The profile with the engine it will have, the Python to train with (empty: this one), and what to say of it."""
    if profile.training.engine != "unsloth":
        return profile, "", []
    if processes > 1:
        engine = Engine("unsloth", lacks=f"it trains on one GPU, and {processes} processes are asked for")
    else:
        engine = unsloth(workspace)
    if not engine.lacks:
        return profile, engine.python, []
    with_trl = msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, engine="trl"))
    message = f"Unsloth cannot be used, and TRL trains instead: {engine.lacks}"
    return with_trl, "", [journal.Warned(message=message, advice=engine.fix, code="engine")]


def _python(workspace: Workspace) -> str:
    """The Python of Unsloth's environment: from the environment, config.toml, or where `doctor` says to make it."""
    named = os.environ.get(VARIABLE) or load_config(workspace).unsloth_python
    if named:
        return str(Path(named).expanduser())
    usual = workspace.root / "engines" / "unsloth" / "bin" / "python"
    return str(usual) if usual.exists() else ""
