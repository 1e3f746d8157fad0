"""After a promotion: what stands in opencode's settings names what is served now, and nothing else of it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from lora_tui.adapters.serving import sets
from lora_tui.adapters.wiring import record
from lora_tui.adapters.wiring.again import again, standing
from lora_tui.adapters.wiring.apply import apply
from lora_tui.cli.main import run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from opencode_settings import COMMENTED, add_specialist


@pytest.fixture
def settings(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's settings into which a specialist was written; the server has no router, so it names the version."""
    monkeypatch.chdir(tmp_path)
    add_specialist(workspace, "coder", "coder", tmp_path / "Base-1B")
    path = tmp_path / "opencode.json"
    path.write_text(COMMENTED)
    serve(workspace, "coder@1.0.0")
    wiring = ["opencode", "apply", "--config", str(path), "--key-env", "GPU_KEY", "--output", "512", "--no-base"]
    assert run(["--workspace", str(workspace.root), *wiring, "--no-check", "--yes"]) == 0
    return path


def serve(workspace: Workspace, version: str) -> None:
    """A set that this process holds as its server would, with this version under its own name alone."""
    folder = sets.folder_of(workspace) / "one"
    if not folder.is_dir():
        wanted = sets.Set(
            name="one", workspace=str(workspace.root), base="x", base_name="x", engine="vllm", port=9001,
            adapters=("coder",), route=False,
        )  # fmt: skip
        sets.hold(sets.create(workspace, wanted).folder)
    url = "http://127.0.0.1:9001/v1"
    state = sets.State(pid=os.getpid(), started=1.0, state="ready", url=url, names={"coder": version})
    (folder / sets.STATE).write_bytes(msgspec.json.encode(state))


def test_a_promoted_version_is_written_and_everything_else_stays(workspace: Workspace, settings: Path) -> None:
    before = settings.read_text()
    assert "coder@1.0.0" in before
    (made,) = standing(workspace, "coder")
    plan, wanted = again(workspace, made)
    assert not any(change.is_one for change in plan.changes)
    serve(workspace, "coder@1.1.0")
    plan, wanted = again(workspace, made)
    apply(workspace, plan, wanted, made.adapters)
    assert settings.read_text() == before.replace("coder@1.0.0", "coder@1.1.0")
    assert "{env:GPU_KEY}" in before
    assert run(["--workspace", str(workspace.root), "opencode", "revert", "--all", "--yes"]) == 0
    assert settings.read_text() == COMMENTED


def test_what_an_earlier_release_wrote_says_what_to_do(
    workspace: Workspace, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = standing(workspace, "coder")
    path = workspace.root / "opencode" / made.number / "record.json"
    old = json.loads(path.read_text())
    del old["wanted"]
    path.write_text(json.dumps(old))
    (made,) = record.records(workspace)
    with pytest.raises(BadInput, match="what was to stand there is not written down"):
        again(workspace, made)
    assert standing(workspace, "another") == []
