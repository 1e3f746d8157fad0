"""Every test gets its own home, workspace and environment: a developer's settings never leak in."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from lora_tui.workspace.layout import Workspace
from tiny_models import TinyModels
from tiny_models import key as tiny_models_key
from tiny_models import tiny_models as make_tiny_models


def pytest_collection_finish() -> None:
    """What the tests import stays: torch and all is not to be looked through by every garbage collection."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def tiny_models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """A tiny base that chats and two adapters, trained once and kept in pytest's cache while nothing they follow from
    changes; without a cache once for all the processes of a test run.
    """
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        return make_tiny_models(cache.mkdir("tiny-models") / tiny_models_key())
    own = tmp_path_factory.getbasetemp()
    return make_tiny_models((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "tiny-models")
