"""What opencode makes of the settings that `opencode apply` writes: the real one with $OPENCODE_BIN, else the fake.

The fake's `debug config` (tests/fakes/opencode_program.py) is held to the real one by these same tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripted_model import ScriptedModel

from lora_tui.adapters.wiring import places
from lora_tui.cli.main import run
from lora_tui.workspace.layout import Workspace
from opencode_settings import COMMENTED, FILES, add_specialist

BIN = os.environ.get("OPENCODE_BIN", "")
FAKE = Path(__file__).parents[1] / "fakes" / "opencode_program.py"
URL = "http://127.0.0.1:9000/v1"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    if BIN:
        return Path(BIN)
    path = tmp_path / "bin" / "opencode"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Path:
    """opencode's global folder, beside a repository that is the working directory."""
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    monkeypatch.chdir(repository)
    for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE", "DEFAULT_PLUGINS", "CLAUDE_CODE"):
        monkeypatch.setenv(f"OPENCODE_DISABLE_{name}", "1")
    monkeypatch.setenv("OPENCODE_DB", ":memory:")
    add_specialist(workspace, "build-rust", "build-rust", tmp_path / "Base-1B")
    found = places.global_folder()
    found.mkdir(parents=True)
    return found


def lora_tui(workspace: Workspace, capsys: pytest.CaptureFixture[str], *arguments: str, fails: int = 0) -> Any:
    capsys.readouterr()
    code = run(["--workspace", str(workspace.root), "opencode", *arguments, "--json"])
    said = capsys.readouterr()
    assert code == fails, said.err
    return said.err if fails else json.loads(said.out)


def config_of(program: Path) -> dict[str, Any]:
    """What opencode itself makes of its settings."""
    environment = {**os.environ, "PWD": str(Path.cwd())}
    done = subprocess.run(
        [program, "debug", "config"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def files(folder: Path) -> dict[str, bytes]:
    ours = [
        path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"
    ]  # that one is opencode's
    return {str(path.relative_to(folder)): path.read_bytes() for path in ours}


@pytest.mark.parametrize(
    "kind", ["comments and trailing commas", "without $schema", "lines of Windows, tabs and a mark"]
)
def test_opencode_sees_the_provider_the_models_and_the_agent_and_leaves_the_file_as_it_is(
    kind: str, program: Path, workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "opencode.json").write_bytes(FILES[kind])
    before = files(folder)
    done = lora_tui(workspace, capsys, "apply", "--url", URL, "--key-env", "MY_KEY", "--opencode", str(program))
    assert done["checked"]
    assert done["notes"] == []
    written = files(folder)
    config = config_of(program)
    assert files(folder) == written  # nothing was left for opencode to add
    provider = config["provider"]["lora"]
    assert provider["options"] == {"baseURL": URL, "apiKey": "***"}
    assert provider["models"]["build-rust"]["limit"] == {"context": 16_384, "output": 4_096}
    agent = config["agent"]["build-rust"]
    assert agent["model"] == "lora/build-rust"
    assert agent["mode"] == "all"
    assert agent["prompt"].startswith("You are a coding agent and a specialist for rust.")
    lora_tui(workspace, capsys, "revert")
    assert files(folder) == before


def test_settings_inside_a_file_of_their_own_are_seen_and_settings_that_win_are_told(
    program: Path, workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = folder.parent / "own.json"
    own.write_text(COMMENTED)
    arguments = ["apply", "--url", URL, "--opencode", str(program), "--config", str(own)]
    (Path.cwd() / "opencode.json").write_text('{"$schema": "x", "agent": {"build-rust": {"model": "proxy/large"}}}')
    done = lora_tui(workspace, capsys, *arguments)
    assert done["notes"] == [
        f"opencode reads this file when told to: export OPENCODE_CONFIG={own}",
        f"{Path.cwd() / 'opencode.json'} wins over {own} and has an agent 'build-rust' too.",
        "opencode's agent 'build-rust' has the model proxy/large, not lora/build-rust.",
    ]
    os.environ["OPENCODE_CONFIG"] = str(own)
    try:
        (Path.cwd() / "opencode.json").unlink()
        config = config_of(program)
    finally:
        del os.environ["OPENCODE_CONFIG"]
    assert config["agent"]["build-rust"]["model"] == "lora/build-rust"
    lora_tui(workspace, capsys, "revert")
    assert own.read_text() == COMMENTED


def test_settings_that_opencode_refuses_stop_it_before_anything_is_written(
    program: Path, workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path.cwd() / "opencode.json").write_text('{"provider": {,}, "secret": "not-to-be-shown"}')
    said = lora_tui(workspace, capsys, "apply", "--url", URL, "--opencode", str(program), fails=1)
    assert "opencode does not take the settings" in said
    assert "--no-check" in said
    assert "not-to-be-shown" not in said
    assert files(folder) == {}
    shutil.rmtree(folder)
    assert lora_tui(workspace, capsys, "apply", "--url", URL, "--no-check")["applied"]


@pytest.mark.skipif(not BIN, reason="set OPENCODE_BIN to opencode's program to have it ask a specialist")
def test_the_agent_asks_our_server_for_the_specialist_with_its_prompt_and_its_limit(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel()
    try:
        lora_tui(workspace, capsys, "apply", "--url", model.url, "--opencode", BIN)
        model.will({"text": "Written in Rust."})
        done = subprocess.run(
            [BIN, "run", "--agent", "build-rust", "hello"],
            env={**os.environ, "PWD": str(Path.cwd())},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Written in Rust." in done.stdout, done.stderr
    finally:
        model.close()
    [asked] = [request for request in model.requests if request.get("tools")]
    assert asked["model"] == "build-rust"
    assert asked["max_tokens"] == 4_096
    assert asked["messages"][0]["content"].startswith("You are a coding agent and a specialist for rust.")
    assert {request["model"] for request in model.requests} <= {"build-rust", "auto", "Base-1B"}
