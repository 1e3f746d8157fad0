"""What starts a cycle every night, as systemd and cron read it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from lora_tui.cli.main import run
from lora_tui.cycle import timer
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def test_the_printed_line_starts_the_cycle_of_this_workspace_every_night(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there = tmp_path / "a history"
    there.mkdir()
    asked = ["cycle", "tiny", "--path", str(there), "--print", "cron", "--at", "4:05"]
    assert run(["--workspace", str(workspace.root), *asked]) == 0
    line = capsys.readouterr().out.strip()
    words = shlex.split(line)
    assert words[:5] == ["5", "4", "*", "*", "*"]
    assert words[-6:] == ["--workspace", str(workspace.root), "cycle", "tiny", "--path", str(there)]
    assert run(["--workspace", str(workspace.root), "cycle", "tiny", "--print", "systemd", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["text"]
    assert f"-m lora_tui --workspace {workspace.root} cycle tiny\n" in made
    assert "OnCalendar=*-*-* 03:30:00\nPersistent=true" in made
    assert list(workspace.runs.iterdir()) == []


def test_words_with_blanks_and_signs_stay_one_word_each() -> None:
    words = ["/opt/my python", "50%", "$HOME", 'say "hi"', "a\\b"]
    made = timer.systemd(words, "build-rust", "0:00")
    (line,) = (line for line in made.splitlines() if line.startswith("ExecStart="))
    assert line == r'ExecStart="/opt/my python" 50%% $$HOME "say \"hi\"" "a\\b"'
    assert r"50\%" in timer.cron(words, "0:00")
    for wrong in ("24:00", "noon", "3", "3:60", "-1:00"):
        with pytest.raises(BadInput):
            timer.cron(words, wrong)


def test_what_is_for_once_is_not_printed_for_every_night(workspace: Workspace) -> None:
    assert run(["--workspace", str(workspace.root), "cycle", "tiny", "--again", "--print", "cron"]) == 2


def test_no_timer_is_printed_for_a_profile_that_is_not_there(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--workspace", str(workspace.root), "cycle", "nobody", "--print", "systemd"]) == 2
    assert "there is no profile 'nobody'" in capsys.readouterr().err


def test_a_percent_sign_in_a_profiles_path_is_no_specifier() -> None:
    assert "Description=lora-tui cycle /x/100%%h.toml\n" in timer.systemd(["x"], "/x/100%h.toml", "0:00")
