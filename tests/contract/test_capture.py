"""`capture opencode` with the real program: what it hears, and that nothing of the person's changes.

Runs when $OPENCODE_BIN names opencode (see test_opencode.py). Nothing leaves the machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lora_tui.sources.opencode.capture_run import capture_agent
from lora_tui.workspace.errors import BadInput

BIN = os.environ.get("OPENCODE_BIN", "")

pytestmark = pytest.mark.skipif(not BIN, reason="set OPENCODE_BIN to opencode's program to capture its agents")

_SETTINGS = '{"enabled_providers": ["mine"], "provider": {"mine": {"options": {"apiKey": "not-to-be-kept"}}}}'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings without `$schema`, which opencode would add, and two agents of one's own."""
    home = tmp_path / "me"
    agents = home / ".config" / "opencode" / "agent"
    agents.mkdir(parents=True)
    (agents.parent / "opencode.json").write_text(_SETTINGS)
    (agents / "build-rust.md").write_text("---\ndescription: Rust\nmode: primary\n---\nYou write Rust.\n")
    (agents / "helper.md").write_text("---\ndescription: Helps\nmode: subagent\n---\nYou help.\n")
    (home / ".opencode").mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.delenv(f"XDG_{name}_HOME")
    return home


def _everything(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_an_agents_prompt_and_tools_are_heard_and_no_file_changes(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "opencode.json").write_text('{"agent": {"local": {"mode": "primary", "prompt": "Only here."}}}')
    before = _everything(tmp_path)
    own = capture_agent("build-rust", Path(BIN))
    helper = capture_agent("helper", Path(BIN))
    local = capture_agent("local", Path(BIN), project=project)
    with pytest.raises(BadInput) as caught:
        capture_agent("local", Path(BIN))
    assert _everything(tmp_path) == before  # also: no database, no log, nothing installed
    assert own.system.startswith("You write Rust.\nYou are powered by the model named {{model name}}.")
    assert "Working directory: {{directory}}" in own.system
    assert "Today's date: {{date}}" in own.system
    assert {"bash", "read", "edit", "write", "glob", "grep", "task"} <= set(own.tool_names)
    assert helper.system.startswith("You help.")
    assert set(own.tool_names) - set(helper.tool_names) == {"task", "todowrite"}
    assert local.system.startswith("Only here.")
    assert 'agent "local" not found' in caught.value.what
    for found in (own, helper, local):
        assert "not-to-be-kept" not in repr(found)
        assert "lora-tui-capture" not in repr(found)
