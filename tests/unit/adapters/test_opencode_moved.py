"""`opencode` after a project's folder was moved: what was written there is still known, and comes back to its bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lora_tui.adapters.wiring import places, record
from lora_tui.cli.main import run
from lora_tui.workspace.layout import Workspace
from opencode_settings import add_specialist

SETTINGS = b'{\n  // mine\n  "model": "x/y"\n}\n'


@pytest.fixture
def project(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with settings that were applied to, moved since; the working directory is its new place."""
    add_specialist(workspace, "build-rust", "build-rust", tmp_path / "Base-1B")
    old, new = tmp_path / "old", tmp_path / "new"
    (old / ".git").mkdir(parents=True)
    (old / "opencode.json").write_bytes(SETTINGS)
    monkeypatch.chdir(old)
    assert run(_command(workspace, "apply", "--project", "--no-check", "--yes")) == 0
    old.rename(new)
    monkeypatch.chdir(new)
    return new


def _command(workspace: Workspace, *arguments: str) -> list[str]:
    return ["--workspace", str(workspace.root), "opencode", *arguments]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_written_is_taken_back_at_the_new_place(workspace: Workspace, project: Path) -> None:
    assert run(_command(workspace, "revert", "--project", "--yes")) == 0
    assert _files(project) == {"opencode.json": SETTINGS}
    assert not (project / ".opencode").exists()
    assert not (project.parent / "old").exists()
    assert record.records(workspace) == []


def test_applying_again_goes_on_from_the_original(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = _command(workspace, "apply", "--project", "--no-check", "--yes", "--url", "http://127.0.0.1:9/v1", "--json")
    assert run(again) == 0
    assert run(_command(workspace, "revert", "--project", "--yes")) == 0
    assert _files(project) == {"opencode.json": SETTINGS}


def test_without_the_new_place_nothing_is_made_at_the_old_one(
    workspace: Workspace, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = _files(project)
    assert run(_command(workspace, "revert", "--yes")) == 2
    said = capsys.readouterr().err
    assert "the project is gone" in said
    assert "opencode revert --project" in said
    assert run(_command(workspace, "revert", "--force", "--yes")) == 0
    assert "changed by hand" not in capsys.readouterr().err
    assert not (project.parent / "old").exists()
    assert (_files(project), record.records(workspace)) == (written, [])


def test_another_project_is_not_taken_for_the_one_that_is_gone(workspace: Workspace, project: Path) -> None:
    other = project.parent / "other"
    (other / ".git").mkdir(parents=True)
    (other / "opencode.json").write_bytes(SETTINGS)
    record.follow(workspace, places.project_place(other))
    assert [one.place for one in record.records(workspace)] == [f"project {project.parent / 'old'}"]


def test_a_base_is_called_as_serve_calls_it(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = tmp_path / "models--lab--Base-1B" / "snapshots" / ("0123456789" * 4)
    add_specialist(workspace, "build-rust", "build-rust", snapshot)
    assert run(_command(workspace, "print", "--json")) == 0
    said: dict[str, Any] = json.loads(json.loads(capsys.readouterr().out)["settings"])
    assert set(said["provider"]["lora"]["models"]) == {"auto", "Base-1B", "build-rust"}
