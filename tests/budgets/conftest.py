"""Workspaces with many examples, made once."""

from __future__ import annotations

from pathlib import Path

import many_examples
import pytest

from lora_tui.workspace.layout import Workspace


@pytest.fixture(scope="session")
def hundred_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 100,000 examples."""
    return _filled(tmp_path_factory.mktemp("many") / "workspace", 100_000)


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 1,000 examples."""
    return _filled(tmp_path_factory.mktemp("few") / "workspace", 1_000)


def _filled(root: Path, number: int) -> Path:
    workspace = Workspace(root)
    many_examples.fill(workspace, number)
    workspace.close()
    return root
