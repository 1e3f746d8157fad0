"""`redact check` and the switch in config.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_tui.cli.main import run
from lora_tui.curation import examples, labels, reading
from lora_tui.curation.redact_stream import findings
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from secret_values import filled
from stories import says, store_session, user

TOKEN, _ = filled("ghp_{a36}")


def lora(workspace: Workspace, *arguments: str) -> int:
    return run(["--workspace", str(workspace.root), *arguments])


def test_check_says_where_and_never_what(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(f"first\nGH = {TOKEN}\nask a.person@company.net\n")
    assert lora(workspace, "redact", "check", str(file)) == 1
    out = capsys.readouterr().out
    assert f"{file}:2:6: github_pat\n" in out
    assert f"{file}:3:5: email (personal)\n" in out
    assert TOKEN[4:] not in out
    assert "company" not in out


def test_personal_data_alone_is_no_failure(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("a.person@company.net")
    assert lora(workspace, "redact", "check", str(tmp_path / "a"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["by_rule"] == {"email": 1}


def test_a_file_that_cannot_be_read_is_one_clear_error(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lora(workspace, "redact", "check", str(tmp_path / "missing")) == 2
    assert "No such file" in capsys.readouterr().err
    assert lora(workspace, "redact", "check", str(tmp_path)) == 2
    assert "this is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "around", [b"x" * 70, b"\xff\x00\xfe" * 30, "ü€".encode() * 20], ids=["text", "binary", "utf-8"]
)
def test_a_file_larger_than_a_piece_gives_each_finding_once_with_its_line(tmp_path: Path, around: bytes) -> None:
    line = around + b"\n"
    lines = [line] * 150_000
    for number in (0, 59_000, 60_000, 149_999):
        lines[number] = TOKEN.encode() + b"\n"
    (tmp_path / "big").write_bytes(b"".join(lines))
    with (tmp_path / "big").open("rb") as file:
        found = [(one.rule, one.line, one.column) for one in findings(file)]
    assert found == [("github_pat", number, 1) for number in (1, 59_001, 60_001, 150_000)]


def test_one_endless_line_is_searched_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "line").write_text("a " * 2_200_000 + TOKEN + " b" * 2_200_000 + TOKEN)
    with (tmp_path / "line").open("rb") as file:
        found = [(one.line, one.column) for one in findings(file)]
    assert found == [(1, 4_400_001), (1, 4_400_001 + 40 + 4_400_000)]


def test_rules_say_which_are_off(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.config.write_text('[redact]\noff = ["email"]\n')
    assert lora(workspace, "redact", "rules", "--json") == 0
    listed = {rule["rule"]: rule["state"] for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert [name for name, state in listed.items() if state == "off"] == ["email"]
    assert len(listed) >= 60


def test_switching_a_rule_off_and_on_makes_the_examples_anew(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("mail a.person@company.net about it please"), says("Sent.")])
    examples.refresh(workspace)
    [one] = examples.ids(workspace)
    assert reading.example(workspace, one).row.request == "mail <PII:email:1> about it please"
    workspace.config.write_text('[redact]\noff = ["email"]\n')
    assert examples.refresh(workspace).examples == 1
    assert reading.example(workspace, one).row.request == "mail a.person@company.net about it please"
    assert list(examples.ids(workspace, examples.Filter(text="company"))) == [one]
    workspace.config.unlink()
    examples.refresh(workspace)
    assert "company" not in str(reading.example(workspace, one))
    assert list(examples.ids(workspace, examples.Filter(text="company"))) == []


@pytest.mark.parametrize(
    ("name", "reason"), [("github_pat", "secrets cannot be switched off"), ("emial", "there is no rule 'emial'")]
)
def test_a_secret_cannot_be_switched_off_nor_what_does_not_exist(workspace: Workspace, name: str, reason: str) -> None:
    workspace.config.write_text(f'[redact]\noff = ["{name}"]\n')
    with pytest.raises(BadInput, match=reason) as error:
        examples.refresh(workspace)
    assert error.value.where == str(workspace.config)
    assert "ipv4" in error.value.fix


def test_a_note_is_shown_without_the_secret_in_it(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("read the settings please"), says("Read.")])
    examples.refresh(workspace)
    [one] = examples.ids(workspace)
    labels.decide(workspace, [one], "note", f"uses {TOKEN}", author="ada")
    assert reading.example(workspace, one).row.note == "uses <SECRET:github_pat:1>"
    assert TOKEN not in str(labels.history(workspace, one))
