"""What the command line writes to a terminal, and what it never writes there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import histories
from lora_tui.cli.main import COMMANDS, cli, run
from lora_tui.curation import examples
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"  # OSC 52: a terminal puts it into the clipboard
_CLEAR = "\x9b2J\x1b[2J"
_TOO_LARGE = "99999999999999999999"


@pytest.fixture
def hostile(workspace: Workspace) -> Workspace:
    """A session whose every text commands the terminal."""
    evil = _CLIPBOARD + _CLEAR
    edit = calls("edit" + evil, {"filePath": "src/a.rs", "evil": evil}, "ok" + evil)
    store_session(workspace, "ses_1", [user("Improve\r\n\tit" + evil), *edit, says("Done." + evil)], title="T" + evil)
    examples.refresh(workspace)
    return workspace


@pytest.mark.parametrize(
    "command",
    [["sessions", "list"], ["sessions", "show", "ses_1"], ["examples", "list"], ["examples", "show", "1"]],
)
def test_a_recorded_session_cannot_command_the_terminal(
    command: list[str], hostile: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["--workspace", str(hostile.root), *command]) == 0
    shown = capfd.readouterr()
    assert shown.out.strip()
    assert _CONTROL.findall(shown.out + shown.err) == []


def test_newlines_and_tabs_of_a_session_are_shown(hostile: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    run(["--workspace", str(hostile.root), "sessions", "show", "ses_1"])
    assert "Improve\n\tit" in capfd.readouterr().out


def test_json_is_exact(hostile: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    run(["--workspace", str(hostile.root), "sessions", "show", "ses_1", "--json"])
    assert json.loads(capfd.readouterr().out)["title"] == "T" + _CLIPBOARD + _CLEAR


def test_the_progress_line_passes_no_title_on_as_a_command(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    histories.write(tmp_path / "opencode.db", histories.session("Evil " + _CLIPBOARD))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(["--workspace", str(workspace.root), "ingest", "opencode", str(tmp_path / "opencode.db")]) == 0
    shown = capfd.readouterr().err.replace("\r\x1b[2K", "")
    assert "Evil" in shown
    assert _CONTROL.findall(shown) == []


def test_a_bug_is_logged_in_the_workspace_in_use(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(Workspace, "connection", lambda _: 1 / 0)
    assert run(["--workspace", str(workspace.root), "sessions", "list"]) == 1
    assert str(workspace.logs / "lora-tui.log") in capfd.readouterr().err
    assert "ZeroDivisionError" in (workspace.logs / "lora-tui.log").read_text()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["examples", "show", _TOO_LARGE],
        ["examples", "list", "--limit", _TOO_LARGE],
        ["sessions", "list", "--limit", _TOO_LARGE],
    ],
)
def test_a_number_beyond_64_bit_is_a_usage_error(
    arguments: list[str], workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["--workspace", str(workspace.root), *arguments]) == 2
    assert "is too large" in capfd.readouterr().err


def test_every_command_but_the_app_knows_json() -> None:
    context = click.Context(cli)
    found = [command for name in COMMANDS if name != "app" and (command := cli.get_command(context, name))]
    while found:
        command = found.pop()
        if isinstance(command, click.Group):
            found += command.commands.values()
        else:
            assert any("--json" in option.opts for option in command.params), command.name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_comes_as_json_too(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert run(["completion", shell]) == 0
    assert document == {"shell": shell, "script": capfd.readouterr().out.removesuffix("\n")}


def test_work_goes_on_when_nobody_looks_at_its_progress(workspace: Workspace, tmp_path: Path) -> None:
    histories.write(tmp_path / "opencode.db")
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root)]
    command += ["ingest", "opencode", str(tmp_path / "opencode.db"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        running.stderr.close()
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["new"] == 1
        assert running.wait(60) == 0
