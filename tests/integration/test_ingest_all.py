"""Every agent's history at once: found, shown, read; one that fails stops none of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import histories
from aider_files import EDIT, asked, chat, done, said
from claude_files import fixed_a_bug as claude_session
from codex_files import fixed_a_bug as codex_session
from lora_tui.cli.main import run
from lora_tui.sources import read
from lora_tui.sources.discover import discover, source_of
from lora_tui.sources.registry import SOURCES
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Path:
    """A machine on which every agent was used."""
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(workspace.root))
    (home / ".local/share/opencode").mkdir(parents=True)
    histories.write(home / ".local/share/opencode/opencode.db")
    claude_session().write(home / ".claude/projects")
    codex_session().write(home / ".codex")
    (home / "src/greet").mkdir(parents=True)
    (home / "src/greet/.aider.chat.history.md").write_text(chat(asked("Change the greeting"), said(EDIT), done()))
    return home


def printed(capfd: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capfd.readouterr().out)


def test_every_history_on_the_machine_is_found_and_none_is_opened(home: Path) -> None:
    for path in home.rglob("*"):
        if path.is_file():
            path.chmod(0)
    found = discover()
    assert found.names == ["opencode", "claude-code", "codex", "aider"]
    assert [place.sessions for place in found.found] == [None, 1, 1, None]
    assert all(place.size for place in found.found)


def test_a_dry_run_shows_and_reads_nothing(home: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "--all", "--dry-run"]) == 0
    shown = capfd.readouterr().out
    assert all(name in shown for name in ("opencode.db", "~/.claude/projects", "~/.codex", ".aider.chat.history.md"))
    assert read.count(workspace) == 0
    assert run(["ingest", "--all", "--dry-run", "--json"]) == 0
    assert len(printed(capfd)["found"]) == 4


def test_everything_is_read_after_it_was_shown(
    home: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", "--all", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err.index(".claude/projects") < err.index("reading opencode")
    assert [(report["source"], report["new"]) for report in json.loads(out)["sources"]] == [
        *(("opencode", 1), ("claude-code", 1), ("codex", 1), ("aider", 1))
    ]
    assert json.loads(out)["examples"]["examples"] >= 4
    assert run(["ingest", "--all"]) == 0
    assert "claude-code: 1 session: 0 new, 0 changed, 1 unchanged" in capfd.readouterr().out
    assert read.count(workspace) == 4


def test_one_damaged_history_stops_no_other(
    home: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / ".local/share/opencode/opencode.db").write_bytes(os.urandom(5_000))
    assert run(["ingest", "--all", "--json"]) == 2
    told = printed(capfd)
    assert [report["source"] for report in told["sources"]] == ["claude-code", "codex", "aider"]
    assert [failure["what"] for failure in told["failures"]] == ["this is not an SQLite database"]
    assert read.count(workspace) == 3


def test_a_machine_without_agents_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(tmp_path / "workspace"))
    assert run(["ingest", "--all"]) == 0
    assert "No agent's history was found" in capfd.readouterr().out


@pytest.mark.parametrize(("answer", "sessions"), [("n\n", 0), ("y\n", 4)])
def test_on_a_terminal_it_asks_first(home: Path, workspace: Workspace, answer: str, sessions: int) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "lora_tui", "ingest", "--all"]
    started = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "dumb"})
    os.close(slave)
    seen = b""
    while b"Read them now?" not in seen:
        seen += os.read(master, 4096)
    os.write(master, answer.encode())
    try:
        while os.read(master, 4096):
            pass
    except OSError:
        pass
    os.close(master)
    assert started.wait(60) == 0
    assert b".claude/projects" in seen
    assert read.count(workspace) == sessions


def test_a_path_is_read_by_the_source_that_knows_it(
    home: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = {
        "opencode": home / ".local/share/opencode/opencode.db",
        "claude-code": next((home / ".claude").rglob("*.jsonl")),
        "codex": next((home / ".codex").rglob("*.jsonl")),
        "aider": home / "src/greet",
    }
    assert {name: source_of(path) for name, path in paths.items()} == {name: name for name in paths}
    arguments = [part for path in paths.values() for part in ("--path", str(path))]
    assert run(["ingest", *arguments, "--json"]) == 0
    assert read.count(workspace) == 4
    capfd.readouterr()
    assert run(["ingest", "--path", "/nowhere/at/all"]) == 2
    assert "no such file" in capfd.readouterr().err
    (home / "picture.png").write_bytes(b"\x89PNG")
    assert run(["ingest", "--path", str(home / "picture.png")]) == 2
    assert "picture.png" in capfd.readouterr().out
    (home / "empty").mkdir()
    with pytest.raises(BadInput, match="no source can read this"):
        source_of(home / "empty")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--all", "--path", "x"], ["--yes", "opencode"], ["nonsense"], ["codex", "--all"]],
)
def test_wrong_ways_to_ask_are_told(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", *arguments]) == 2
    assert capfd.readouterr() != ("", "")


def test_every_source_has_a_command_and_help_imports_none(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from lora_tui.cli.main import run; run(['ingest', '--help']); "
        "run(['ingest', 'codex', '--help']); "
        "print([name for name in sys.modules if name.startswith('lora_tui.sources.') and name.count('.') > 2])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"
    assert all(f"  {name} " in shown for name in SOURCES)


def test_doctor_lists_the_histories(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--json"])
    assert {check["what"] for check in printed(capfd)} >= {"claude-code history", "codex history", "aider history"}
