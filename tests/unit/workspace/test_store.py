"""The workspace database and the files beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.store import connect, schema_steps


def test_two_processes_opening_a_new_workspace_at_once_both_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lora_tui.workspace.layout import Workspace;"
        "print(Workspace(Path(sys.argv[1])).connection().execute('PRAGMA user_version').fetchone()[0])"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "w")], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert {process.communicate(timeout=60)[0].strip() for process in started} == {str(len(schema_steps())).encode()}


def test_a_failed_transaction_leaves_nothing(workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError), workspace.transaction() as connection:
        connection.execute("INSERT INTO example_text (text) VALUES ('x')")
        raise ZeroDivisionError
    assert workspace.connection().execute("SELECT count(*) FROM example_text").fetchone() == (0,)


def test_a_workspace_of_a_newer_version_is_left_alone(workspace: Workspace) -> None:
    workspace.connection().execute("PRAGMA user_version = 99")
    workspace.close()
    with pytest.raises(LoraTuiError, match="newer lora-tui"):
        workspace.connection()


def test_a_foreign_file_in_the_databases_place_is_named_and_kept(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"this is no database, but somebody's notes " * 40)
    with pytest.raises(LoraTuiError, match="not a database") as caught:
        workspace.connection()
    assert caught.value.where == str(workspace.database)
    assert workspace.database.read_bytes().startswith(b"this is no database")


def test_a_locked_database_says_who_might_hold_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.connection().execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(workspace.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LoraTuiError, match="locked") as caught, workspace.transaction():
        pass
    assert "Another lora-tui" in caught.value.fix
    other.close()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "rust" / "1"
    with pytest.raises(ZeroDivisionError), atomic.new_folder(target) as draft:
        (draft / "train.jsonl").write_text("half")
        raise ZeroDivisionError
    assert list(target.parent.iterdir()) == []
    with atomic.new_folder(target) as draft:
        (draft / "train.jsonl").write_text("whole")
    with pytest.raises(LoraTuiError, match="exists already"), atomic.new_folder(target) as draft:
        (draft / "train.jsonl").write_text("other")
    assert (target / "train.jsonl").read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["1"]


def test_a_workspace_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LoraTuiError, match="cannot create the workspace") as caught:
        Workspace(tmp_path / "file" / "below").ensure()
    assert "--workspace" in caught.value.fix


def test_a_workspace_of_the_first_schema_keeps_its_labels_and_edits(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(schema_steps()[0].read_text())
    old.executescript(
        "PRAGMA user_version = 1;"
        "INSERT INTO session (id, source, native_id, title, directory, created, updated, origin, fingerprint, curated,"
        " messages) VALUES (1, 'opencode', 's', 't', '/', 1, 1, 'o', 'f', 'f', 1);"
        "INSERT INTO example (id, session_id, native_id, first_seq, last_seq, key, request, language, confidence,"
        " verdict, turns, characters, created) VALUES (1, 1, 'm', 0, 1, 'k', 'r', 'rust', 1, '{}', 1, 1, 1);"
        "INSERT INTO label (id, example_id, example_key, action, value, author, at, batch)"
        " VALUES (7, 1, 'k', 'edit', '[]', 'me', 5, 'b');"
        "UPDATE example SET edit = 7;"
    )
    old.close()
    connection = connect(path)
    assert connection.execute("SELECT id, action, author, at, again FROM label").fetchall() == [(7, "edit", "me", 5, 0)]
    assert connection.execute("SELECT edit, outcome, tags FROM example").fetchall() == [(7, "unknown", "[]")]
    assert connection.execute("SELECT curated FROM session").fetchone() == ("",)
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM label")
