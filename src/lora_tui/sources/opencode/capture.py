"""What an agent of the user's opencode really sends: its system prompt and its tools, kept in the workspace.

What differs from one session to the next is kept as a mark (DIRECTORY, DATE, MODEL), so that the same agent gives the
same capture; `system_for` puts a session's own values in.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

DIRECTORY = "{{directory}}"
DATE = "{{date}}"
MODEL = "{{model}}"  # 'provider/model'
MODEL_NAME = "{{model name}}"

# opencode 1.18.33's environment block and the line above it
_MODEL_LINE = re.compile(r"^(You are powered by the model named ).*?(\. The exact model ID is )\S+", re.M)
_DATE_LINE = re.compile(r"^(\s*Today's date: ).*$", re.M)


class Capture(msgspec.Struct, frozen=True):
    """One agent: `system` with marks, `tools` as OpenAI's `tools` array; `sha256` is of these two."""

    agent: str
    version: str  # opencode's
    captured: int  # epoch seconds
    system: str
    tools: list[dict[str, Any]]
    sha256: str

    @property
    def tool_names(self) -> list[str]:
        """The names of its tools, in order."""
        return [str(tool.get("function", {}).get("name", "")) for tool in self.tools]

    @property
    def tool_bytes(self) -> int:
        """How long the tools are as JSON."""
        return len(msgspec.json.encode(self.tools))


def captured(agent: str, version: str, system: str, tools: list[dict[str, Any]], seconds: float) -> Capture:
    """Make a capture of what was sent: the line that names the model and the date become marks."""
    system = _MODEL_LINE.sub(rf"\g<1>{MODEL_NAME}\g<2>{MODEL}", system)
    system = _DATE_LINE.sub(rf"\g<1>{DATE}", system)
    digest = hashlib.sha256(msgspec.json.encode([system, tools], order="sorted")).hexdigest()
    return Capture(agent, version, int(seconds), system, tools, digest)


def system_for(capture: Capture, *, directory: str, created: int, model: str) -> str:
    """The system prompt as a session had it: in `directory`, on the day of `created` (epoch milliseconds)."""
    day = time.localtime(created / 1000)
    date = f"{_DAYS[day.tm_wday]} {_MONTHS[day.tm_mon - 1]} {day.tm_mday:02} {day.tm_year}"
    values = {DIRECTORY: directory, DATE: date, MODEL: model, MODEL_NAME: model.rpartition("/")[2]}
    return _MARK.sub(lambda found: values[found[0]], capture.system)


_MARK = re.compile("|".join(map(re.escape, (DIRECTORY, DATE, MODEL, MODEL_NAME))))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def save_capture(workspace: Workspace, capture: Capture) -> Path:
    """Write captures/opencode/<agent>.json; an earlier one of this agent is replaced."""
    workspace.ensure()
    path = _path(workspace, capture.agent)
    atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(capture), indent=1))
    return path


def load_capture(workspace: Workspace, agent: str) -> Capture:
    """The capture of this agent. Raises BadInput when there is none, or its file is damaged."""
    path = _path(workspace, agent)
    if not path.is_file():
        raise BadInput(
            f"opencode's agent {agent!r} has not been captured", fix=f"Run: lora-tui capture opencode --agent {agent}"
        )
    return _read(path)


def captures(workspace: Workspace) -> list[Capture]:
    """Every capture, by the agent's name. Raises BadInput for a damaged file."""
    return sorted((_read(path) for path in _folder(workspace).glob("*.json")), key=lambda found: found.agent)


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "captures" / "opencode"


def _path(workspace: Workspace, agent: str) -> Path:
    return _folder(workspace) / f"{quote(agent, safe='')}.json"  # an agent in a sub-folder has a slash in its name


def _read(path: Path) -> Capture:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Capture)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(
            f"the capture cannot be read: {error}", where=str(path), fix="Delete the file and capture the agent again."
        ) from error
