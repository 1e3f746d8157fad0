"""Labelling from the command line: bulk, queues, notes and tags, other people's labels, near-duplicates."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_tui.cli.main import run
from lora_tui.curation import examples, labels, reading
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

Command = Callable[..., Any]


@pytest.fixture
def filled(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("USER", "ana")
    for number in range(1, 7):
        told = [user(f"Please do task number {number} now"), says(f"Did {number}.")]
        store_session(workspace, f"ses_{number}", told, created=1_790_000_000_000 + number * 1000)
    examples.refresh(workspace)
    return workspace


@pytest.fixture
def document(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command with --json; its document, or (code, what it said) where it failed."""

    def call(*words: str) -> Any:
        code = run([*words, "--json"])
        out, err = capsys.readouterr()
        return json.loads(out) if code == 0 else (code, err, out)

    return call


@pytest.fixture
def text(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; what it printed, both streams."""

    def call(*words: str) -> str:
        run([*words])
        out, err = capsys.readouterr()
        return out + err

    return call


def test_a_bulk_decision_can_be_looked_at_first_and_one_undo_takes_it_back(document: Command) -> None:
    shown = document("label", "--all-matching", "text=task", "--accept", "--tag", "first", "--dry-run")
    assert (shown["examples"], shown["decided"], len(shown["sample"])) == (6, 0, 5)
    assert document("examples", "list", "--decision", "labelled")["total"] == 0
    done = document("label", "--all-matching", "text=task", "--accept", "--tag", "first")
    assert len(done["ids"]) == 6
    assert document("examples", "list", "--tag", "first", "--decision", "accept")["total"] == 6
    assert len(document("label", "--undo")["ids"]) == 6
    assert document("examples", "list", "--tag", "first")["total"] == 0


def test_notes_and_tags_are_written_and_taken_away(document: Command) -> None:
    document("label", "1", "2", "--note", "look at it", "--tag", "a", "--tag", "b")
    document("label", "1", "--untag", "a", "--note", "")
    one, two = sorted(document("examples", "list", "--tag", "b")["examples"], key=lambda row: row["id"])
    assert (one["tags"], one["note"]) == (["b"], "")
    assert (two["tags"], two["note"]) == (["a", "b"], "look at it")
    code, err, _ = document("label", "1", "--tag", "a", "--untag", "a")
    assert (code, "exclude each other" in err) == (2, True)


def test_a_queue_is_made_answered_and_taken_up_again(document: Command, text: Command) -> None:
    made = document("queue", "morning", "--order", "shortest", "--decision", "unlabelled")
    assert (made["total"], made["done"]) == (6, 0)
    answered = document("label", "--queue", "morning", "--accept")
    assert (answered["position"], answered["left"]) == (0, 5)
    document("label", "--queue", "morning", "--reject", "--language", "ruby")
    assert document("label", "--undo")["positions"] == [[1, 1]]
    document("label", str(answered["next"]), "--accept", "--by", "ben")
    shown = document("queue", "morning")
    assert (shown["done"], shown["left"], shown["left_filter"]) == (1, 5, 1)
    assert shown["next"][0] == {"position": 1, "id": answered["next"], "reason": ""}
    said = text("queue", "show", "morning")
    assert "1 of 6 done, 5 left; 1 left the filter" in said
    assert [queue["name"] for queue in document("queue", "list")["queues"]] == ["morning"]
    document("queue", "remove", "morning")
    assert "no queue 'morning'" in text("queue", "morning")


def test_a_queue_with_nothing_left_says_so(document: Command) -> None:
    document("queue", "create", "q", "--limit", "1")
    document("label", "--queue", "q", "--skip")
    code, err, _ = document("label", "--queue", "q", "--accept")
    assert (code, "nothing is left" in err) == (2, True)


def test_a_second_opinion_and_how_far_two_agree(document: Command, text: Command) -> None:
    document("label", "1", "2", "3", "--accept")
    made = document("queue", "create", "second", "--overlap", "ana", "--by", "ben")
    assert (made["total"], made["order"]) == (3, "overlap")
    document("label", "--queue", "second", "--reject", "--by", "ben")
    found = document("label", "agreement", "ana", "ben")["agreement"]
    assert (found["decision"]["both"], found["decision"]["kappa"]) == (1, None)
    assert len(found["disagreements"]) == 1
    assert "1 of the 30" in text("label", "agreement")
    assert "carl has decided about nothing" in text("label", "agreement", "ana", "carl")


def test_labels_travel_as_a_file(document: Command, tmp_path: Path) -> None:
    document("label", "1", "2", "--accept", "--note", "fine")
    file = tmp_path / "labels.jsonl"
    assert document("label", "export", str(file))["labels"] == 4
    assert document("label", "import", str(file))["known"] == 4
    with file.open("a") as more:
        more.write("{}\n")
    code, _, out = document("label", "import", str(file))
    assert code == 2
    assert json.loads(out)["wrong"][0]["line"] == 5
    assert document("label", "import", str(tmp_path / "none"))[0] == 2


def test_progress_counts_towards_a_profiles_targets(document: Command, text: Command, filled: Workspace) -> None:
    recipe = '[model]\nbase = "demo"\n[data]\nlanguages = ["none"]\ntargets = {none = 4}\n'
    (filled.profiles / "mine.toml").write_text(f'name = "mine"\n{recipe}')
    document("label", "1", "--accept")
    found = document("label", "progress", "mine")
    assert (found["accepted"], found["target"], found["pace"]["decisions"]) == (1, 4, 1)
    assert "1 of 4 accepted" in text("label", "progress", "mine")
    assert "decisions" in text("label", "progress")


def test_near_duplicates_are_shown_with_the_one_to_keep(document: Command, text: Command, filled: Workspace) -> None:
    code = " ".join(f"line{number} = {number}" for number in range(80))
    for number in (7, 8):
        edit = calls("write", {"filePath": "a.rb", "content": code + "\n" * number}, "ok", call_id=f"c{number}")
        store_session(filled, f"ses_{number}", [user("Write the table of lines"), *edit])
    examples.refresh(filled)
    found = document("dedupe", "report")
    assert (found["clusters"], found["examples"]) == (1, 2)
    assert [member["keeps"] for member in found["shown"][0]["members"]] == [True, False]
    assert "keep" in text("dedupe", "report", "--id", "8")
    assert "no near-duplicates" in text("dedupe", "report", "--id", "1")


def test_a_stock_answer_is_found_behind_different_requests(document: Command, filled: Workspace) -> None:
    for number in (7, 8):
        told = [
            user(f"Is number {number} right, and why is it so?"),
            says("You are absolutely\n right!" if number == 7 else "You are absolutely right!"),
        ]
        store_session(filled, f"ses_{number}", told)
    examples.refresh(filled)
    (answer,) = document("dedupe", "report", "--answers")["answers"]
    assert (answer["ids"], answer["characters"]) == ([7, 8], 25)


def test_what_was_dropped_can_be_listed_by_its_reason_but_not_decided_about(document: Command, text: Command) -> None:
    assert document("examples", "list", "--dropped", "any")["total"] == 0
    assert "is no candidate" in text("label", "--all-matching", "dropped=any", "--accept")


def test_the_help_shows_the_plain_form_and_the_subcommands(text: Command) -> None:
    said = text("label", "--help")
    assert "[IDS]" in said
    assert "--undo" in said
    assert "agreement" in said


@pytest.mark.parametrize("room", [40_000, 60_000])
def test_a_disk_that_is_full_is_one_clear_error_and_loses_nothing(workspace: Workspace, room: int) -> None:
    """A limit for written files stands for the disk: SQLite is told the same way that it cannot write."""
    store_session(workspace, "ses_1", [user("Please do task number 1"), says("Did it.")])
    examples.refresh(workspace)
    labels.decide(workspace, [1], "accept", author="ana")
    workspace.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    workspace.close()
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "label", "1", "--reject"]
    done = subprocess.run(
        [*command, "--by", "ana", "--note", "x" * 60_000],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the workspace database cannot be used")
    assert len(done.stderr.splitlines()) == 2
    assert reading.example(workspace, 1).row.decision == "accept"
