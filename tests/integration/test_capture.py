"""`capture opencode`: the prompt and tools as they were sent, and a home that nobody has written to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lora_tui.sources.opencode.capture import Capture, load_capture, save_capture, system_for
from lora_tui.sources.opencode.capture_run import capture_agent, find_program
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

FAKE = Path(__file__).parents[1] / "fakes" / "opencode_program.py"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that behaves as opencode does."""
    path = tmp_path / "bin" / "opencode"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home, with settings as opencode would like to change them."""
    home = tmp_path / "me"
    settings = home / ".config" / "opencode"
    (settings / "agent").mkdir(parents=True)
    (settings / "node_modules" / "@scope" / "plugin").mkdir(parents=True)
    (settings / "opencode.json").write_text('{"provider": {"mine": {"options": {"apiKey": "not-to-be-kept"}}}}')
    (settings / "agent" / "build-rust.md").write_text("You write Rust.")
    (home / ".opencode").mkdir()
    (settings / "circle").symlink_to(settings)
    (home / "notes").write_text("mine")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    return home


def everything(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def lora_tui(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_prompt_and_tools_are_kept_and_the_persons_files_are_not_touched(
    workspace: Workspace, home: Path, program: Path
) -> None:
    before = everything(home)
    done = lora_tui(workspace, "capture", "opencode", "--agent", "build-rust", "--opencode", str(program), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["tools"] == ["bash", "read", "task"]
    assert said["version"] == "1.18.33"
    assert everything(home) == before
    found = load_capture(workspace, "build-rust")
    assert found.system.splitlines() == [
        "You write Rust.",
        "You are powered by the model named {{model name}}. The exact model ID is {{model}}",
        "  Working directory: {{directory}}",
        "  Today's date: {{date}}",
        f"  Skills: {home}/.config/opencode/skills and {home}/notes",
    ]
    assert "not-to-be-kept" not in Path(said["file"]).read_text()
    assert lora_tui(workspace, "capture", "list").stdout.splitlines()[1].split()[:2] == ["build-rust", "1.18.33"]
    assert "You write Rust." in lora_tui(workspace, "capture", "show", "build-rust").stdout


def test_the_same_agent_gives_the_same_capture(home: Path, program: Path) -> None:
    assert capture_agent("build", program).sha256 == capture_agent("build", program).sha256


def test_a_subagent_is_heard_when_another_agent_calls_it(home: Path, program: Path) -> None:
    found = capture_agent("explore", program)
    assert found.system.startswith("You are explore.")
    assert found.tool_names == ["bash", "read"]


def test_a_projects_instructions_count_when_it_is_named(home: Path, program: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "AGENTS.md").write_text("Use tabs.")
    (project / ".git").mkdir()
    assert "Use tabs." in capture_agent("build", program, project=project).system
    assert "Use tabs." not in capture_agent("build", program).system
    assert [path.name for path in project.iterdir() if path.name == ".git"] == [".git"]
    assert not any((project / ".git").iterdir())


def test_an_unknown_agent_is_told_in_opencodes_words(workspace: Workspace, home: Path, program: Path) -> None:
    done = lora_tui(workspace, "capture", "opencode", "--agent", "nobody", "--opencode", str(program))
    assert done.returncode == 2
    assert 'agent "nobody" not found' in done.stderr
    with pytest.raises(BadInput):
        load_capture(workspace, "nobody")


def test_a_failing_start_shows_one_line_and_no_settings(
    home: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_OPENCODE", "die")
    with pytest.raises(LoraTuiError) as caught:
        capture_agent("build", program)
    assert "the configuration is not valid JSON" in caught.value.what
    assert "not-to-be-shown" not in str(caught.value)


def test_a_program_that_hangs_is_ended_and_leaves_nothing(
    home: Path, program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAKE_OPENCODE", "hang")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(LoraTuiError) as caught:
        capture_agent("build", program, seconds=1.5)
    assert "too long" in caught.value.what
    assert not list(tmp_path.glob("lora-tui-capture-*"))
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if str(FAKE) in " ".join(child.cmdline())]


def test_a_capture_that_is_terminated_leaves_no_copy_of_the_settings(
    workspace: Workspace, home: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setenv("FAKE_OPENCODE", "hang")
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "capture", "opencode"]
    running = subprocess.Popen([*command, "--agent", "build-rust", "--opencode", str(program)])
    end = time.monotonic() + 20
    while not any(scratch.rglob("opencode.json")) and time.monotonic() < end:
        time.sleep(0.05)
    assert any(scratch.rglob("opencode.json"))
    running.terminate()
    assert running.wait(20) == 128 + signal.SIGTERM
    assert not list(scratch.iterdir())


def test_without_opencode_its_path_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for named in ("", "/nowhere/opencode"):
        with pytest.raises(BadInput) as caught:
            find_program(named)
        assert "--opencode PATH" in caught.value.fix


def test_settings_given_in_the_environment_are_kept_but_the_provider_is_ours(
    home: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", '{"enabled_providers": ["mine"], "instructions": ["x.md"]}')
    assert capture_agent("build", program).tool_names == ["bash", "read", "task"]
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", "{oops")
    with pytest.raises(BadInput):
        capture_agent("build", program)


def test_a_session_gets_its_own_directory_day_and_model() -> None:
    system = "in {{directory}} on {{date}} as {{model}} ({{model name}})"
    found = system_for(
        Capture("a", "1", 0, system, [], ""), directory="/src/app", created=1_790_000_000_000, model="lab/coder"
    )
    assert found.startswith("in /src/app on ")
    assert found.endswith(" 2026 as lab/coder (coder)")


def test_an_agent_in_a_folder_and_a_damaged_file(workspace: Workspace) -> None:
    path = save_capture(workspace, Capture("team/rust", "1", 0, "s", [], "x"))
    assert path.parent == workspace.root / "captures" / "opencode"
    assert load_capture(workspace, "team/rust").system == "s"
    path.write_text("{")
    with pytest.raises(BadInput) as caught:
        load_capture(workspace, "team/rust")
    assert caught.value.where == str(path)
    assert os.path.exists(path)
