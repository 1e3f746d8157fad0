"""`lora-tui vote`, as a person at a plain terminal uses it."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from typing import Any

import pytest

from lora_tui.cli.main import run
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import notes, pairs, votes
from lora_tui.workspace.layout import Workspace
from written_reports import written


@pytest.fixture
def report(workspace: Workspace) -> Report:
    sides = {"baseline": "plain words", "tuned": "better words"}
    return written(workspace, {side: [[f"{text} {number}"] for number in range(8)] for side, text in sides.items()})


def typed(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, lines: str, *arguments: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{key}\n" for key in lines)))
    return run(["--workspace", str(workspace.root), "vote", "r1", "--by", "ann", *arguments])


def keys_for(report: Report, side: str) -> str:
    return "".join("1" if pair.first == side else "2" for pair in pairs(report, "ann"))


def test_nothing_betrays_the_sides_before_all_is_voted_and_then_it_is_said(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = keys_for(report, "tuned")
    assert typed(monkeypatch, workspace, keys[:5] + "q") == 0
    seen = "".join(capsys.readouterr())
    assert "better words" in seen
    assert "3 left; who was who: lora-tui vote r1 --show" in seen
    assert not [word for word in ("tuned", "baseline", "fine-tune", "pass", "fail") if word in seen]
    assert typed(monkeypatch, workspace, keys[5:]) == 0
    seen = capsys.readouterr().out
    assert "The fine-tune is preferred to the baseline (8 to 0" in seen
    assert seen.count("fine-tune  ann") == 8


def test_what_was_voted_is_not_asked_again_and_a_skipped_pair_is(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [pair.prompt for pair in pairs(report, "ann")]
    typed(monkeypatch, workspace, "s1=q")
    capsys.readouterr()
    assert [vote.prompt for vote in votes(workspace, "r1")] == order[1:3]
    typed(monkeypatch, workspace, "q")
    first = capsys.readouterr().out
    assert "3 of 8" in first
    assert f"question {order[0]}\n" in first


def test_undo_takes_the_last_vote_back_and_asks_again(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [pair.prompt for pair in pairs(report, "ann")]
    typed(monkeypatch, workspace, "1" + "u" + "x" + "0" + "2" + "q")
    assert [(vote.prompt, vote.choice) for vote in votes(workspace, "r1")] == [(order[0], "bad"), (order[1], "second")]
    typed(monkeypatch, workspace, "uq")  # of an earlier sitting, too
    assert [vote.prompt for vote in votes(workspace, "r1")] == order[:1]
    assert f"question {order[1]}\n" in capsys.readouterr().out.rpartition("taken back")[2]


def test_one_prompt_can_be_voted_on_again_and_noted(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, workspace, "1", "--prompt", "4")
    typed(monkeypatch, workspace, "0", "--prompt", "4")
    assert [(vote.prompt, vote.choice) for vote in votes(workspace, "r1")] == [(3, "bad")]
    assert typed(monkeypatch, workspace, "", "--prompt", "4", "--note", "both miss the point") == 0
    capsys.readouterr()
    assert typed(monkeypatch, workspace, "", "--show") == 0
    shown = capsys.readouterr().out
    assert "both bad" in shown
    assert "note on 4, ann: both miss the point" in shown
    assert typed(monkeypatch, workspace, "", "--prompt", "9") == 2
    assert typed(monkeypatch, workspace, "", "--note", "of which?") == 2


def test_a_note_in_another_encoding_is_refused_and_no_bug(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    latin = "sch\udcf6n"  # as Python has the argument of a Latin-1 terminal
    assert typed(monkeypatch, workspace, "", "--prompt", "4", "--note", latin) == 2
    assert "not in UTF-8" in capsys.readouterr().err
    assert notes(workspace, "r1") == []


def test_a_program_gets_one_document(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = keys_for(report, "baseline")
    assert typed(monkeypatch, workspace, keys[:7], "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"report": "r1", "left": 1}, "no side is betrayed before all is voted"
    assert typed(monkeypatch, workspace, keys[7:], "--json") == 0
    said, beside = capsys.readouterr()
    found: dict[str, Any] = json.loads(said)
    assert found["tally"]["test"] == {"baseline": 8, "tuned": 0, "ties": 0, "p": 2 / 2**8}
    assert (found["tally"]["votes"], len(found["votes"])) == (8, 8)
    assert "first answer" in beside


def test_answers_that_are_all_alike_leave_nothing_to_vote_on(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    written(workspace, {"baseline": [["one"]], "tuned": [["one"]]})
    assert typed(monkeypatch, workspace, "1") == 2
    assert "nothing to vote on" in capsys.readouterr().err


def test_an_answer_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    written(workspace, {"baseline": [["\x1b]0;owned\x07one"]], "tuned": [["two"]]})
    typed(monkeypatch, workspace, "q")
    assert "\x1b" not in capsys.readouterr().out


def test_on_a_terminal_one_key_is_a_vote(workspace: Workspace, report: Report) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "vote", "r1", "--by", "ann"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        try:
            for key, wanted in ((b"1", b"1 of 8"), (b"=", b"2 of 8"), (b"q", b"3 of 8")):
                seen = b""
                while wanted not in seen or b"q quit" not in seen:
                    assert select.select([ours], [], [], 30)[0], seen
                    seen += os.read(ours, 4096)
                while termios.tcgetattr(theirs)[3] & termios.ICANON:  # it does not wait for a key yet
                    time.sleep(0.01)
                os.write(ours, key)
            assert process.wait(30) == 0
        finally:
            process.kill()
    os.close(ours)
    os.close(theirs)
    assert [vote.choice for vote in votes(workspace, "r1")] == ["first", "equal"]
