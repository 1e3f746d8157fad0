"""Asking the real opencode whether it takes the planned settings, before any of its files is touched.

`opencode debug config` writes to its folders (`$schema`, .gitignore), so it is started in a throw-away copy of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters.wiring.places import global_folder
from lora_tui.adapters.wiring.plan import Change, Plan
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.sources.opencode.capture_place import Place, make_place
from lora_tui.workspace.errors import LoraTuiError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FIX = "Nothing was changed. Go on without asking it: --no-check"


def check(plan: Plan, wanted: Wanted, program: Path, project: Path, *, seconds: float = 120.0) -> list[str]:
    """What of the provider, its models and the agents opencode would not see as planned; empty when all is well.

    project: where it is started, a repository's root. Raises LoraTuiError when it refuses the settings.
    """
    with tempfile.TemporaryDirectory(prefix="lora-tui-check-", ignore_cleanup_errors=True) as folder:
        place = make_place(Path(folder).resolve(), os.environ, project)
        environment = place.environment(os.environ)
        for change in plan.changes:
            _put(change, plan, place, project, environment)
        environment["OPENCODE_DISABLE_DEFAULT_PLUGINS"] = "1"
        return _missing(_resolved(program, place, environment, seconds), wanted)


def _put(change: Change, plan: Plan, place: Place, project: Path, environment: dict[str, str]) -> None:
    """Lay a planned file into the throw-away home, where opencode looks for it."""
    path, ours = Path(change.touched.path), None
    for real, copy in ((global_folder(), place.config / "opencode"), (project.absolute(), place.project)):
        if path.is_relative_to(real.absolute()):
            ours = copy / path.relative_to(real.absolute())
            break
    if ours is None:
        if path != plan.place.config:
            return
        ours = place.root / path.name
        environment["OPENCODE_CONFIG"] = str(ours)
    ours.parent.mkdir(parents=True, exist_ok=True)
    ours.unlink(missing_ok=True)  # it may be a link to the real one
    if change.after is not None:
        ours.write_bytes(change.after)


def _resolved(program: Path, place: Place, environment: dict[str, str], seconds: float) -> dict[str, Any]:
    try:
        process = subprocess.Popen(
            [str(program), "debug", "config"],
            cwd=place.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise LoraTuiError(f"opencode cannot be started: {error.strerror}", where=str(program), fix=_FIX) from error
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LoraTuiError("opencode took too long to read the settings", where=str(program), fix=_FIX) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    try:
        return msgspec.json.decode(out, type=dict[str, Any])
    except msgspec.DecodeError:
        lines = [line.strip() for line in _COLOURS.sub("", err.decode(errors="replace")).splitlines() if line.strip()]
        reason = place.told((lines or ["it said nothing"])[0], str(place.project))[:200]
        raise LoraTuiError(f"opencode does not take the settings: {reason}", where=str(program), fix=_FIX) from None


def _missing(config: dict[str, Any], wanted: Wanted) -> list[str]:
    providers = {**(config.get("providers") or {}), **(config.get("provider") or {})}
    agents = {**(config.get("agents") or {}), **(config.get("agent") or {})}
    found = providers.get(wanted.provider)
    if found is None:
        return [f"opencode sees no provider {wanted.provider!r}."]
    said = []
    url = {**(found.get("settings") or {}), **(found.get("options") or {})}.get("baseURL")
    if url != wanted.url:
        said.append(f"opencode's provider {wanted.provider!r} has another address: {url}.")
    missing = [model.name for model in wanted.models if model.name not in (found.get("models") or {})]
    if missing:
        said.append(f"opencode does not see {', '.join(missing)} among its models.")
    for agent in wanted.agents:
        model = (agents.get(agent.name) or {}).get("model")
        if model != agent.model:
            said.append(
                f"opencode's agent {agent.name!r} has the model {model or 'of the session'}, not {agent.model}."
            )
    enabled, disabled = config.get("enabled_providers"), config.get("disabled_providers") or []
    if (isinstance(enabled, list) and wanted.provider not in enabled) or wanted.provider in disabled:
        said.append(f"opencode's settings switch the provider {wanted.provider!r} off.")
    return said
