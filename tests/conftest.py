"""Every test gets its own home, workspace and environment: a developer's settings never leak in."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.workspace.layout import Workspace


@pytest.fixture(autouse=True)
def _isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in ("LORA_TUI_WORKSPACE", "OPENCODE_DB", "NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    found = Workspace(tmp_path / "workspace")
    found.ensure()
    return found
