"""Taking opencode's sessions in: every format, what happened in them, and only once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import histories
from lora_tui.sources import read
from lora_tui.sources.ingest import ingest
from lora_tui.sources.model import Message, own_words
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "opencode.db"


def conversation(workspace: Workspace, native_id: str) -> list[Message]:
    return list(read.messages(workspace, read.session(workspace, native_id).id))


def test_a_session_comes_out_as_it_was_had(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    ingest(workspace, "opencode", [database])
    row = read.session(workspace, native_id)
    assert (row.title, row.agent, row.model, row.directory) == ("Fix the sign", "build", "lab/coder", "/home/dev/calc")
    messages = conversation(workspace, native_id)
    assert [m.role for m in messages] == [
        *("user", "assistant", "tool", "assistant", "tool", "tool", "assistant"),
        *("user", "assistant"),
    ]
    assert messages[1].reasoning_content == "Look first."
    assert (messages[4].about.exit, messages[5].about.error) == (1, "error")
    assert own_words(messages[7]) == "and this file?"


def test_a_second_ingest_reads_no_conversation(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    ingest(workspace, "opencode", [database])
    before = conversation(workspace, native_id)
    histories.change(database, "UPDATE part SET data = 'unreadable'", "UPDATE message SET data = 'unreadable'")
    report = ingest(workspace, "opencode", [database])
    assert (report.new, report.changed, report.unchanged, report.messages) == (0, 0, 1, 0)
    assert report.quarantined == []
    assert conversation(workspace, native_id) == before


def test_only_the_session_that_went_on_is_read_again(database: Path, workspace: Workspace) -> None:
    first, second = histories.write(database, histories.session("One"), histories.session("Two", created=1))
    ingest(workspace, "opencode", [database])
    row = read.session(workspace, second).id
    histories.change(
        database,
        "UPDATE part SET data = replace(data, 'Fixed.', 'Done.'), time_updated = time_updated + 1 "
        f"WHERE session_id = '{second}' AND data LIKE '%Fixed.%'",
        f"UPDATE part SET data = 'unreadable' WHERE session_id = '{first}'",
    )
    report = ingest(workspace, "opencode", [database])
    assert (report.new, report.changed, report.unchanged, report.quarantined) == (0, 1, 1, [])
    assert read.session(workspace, second).id == row
    assert conversation(workspace, second)[6].content == "Done."


def test_what_was_curated_stays_noted_until_the_session_changes(database: Path, workspace: Workspace) -> None:
    histories.write(database)
    ingest(workspace, "opencode", [database])
    with workspace.transaction() as connection:
        connection.execute("UPDATE session SET curated = fingerprint")
    due = "SELECT count(*) FROM session WHERE curated != fingerprint"
    ingest(workspace, "opencode", [database])
    assert workspace.connection().execute(due).fetchone() == (0,)
    histories.change(database, "UPDATE session SET time_updated = time_updated + 1")
    ingest(workspace, "opencode", [database])
    assert workspace.connection().execute(due).fetchone() == (1,)


def test_a_session_that_vanished_at_the_source_is_kept(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    ingest(workspace, "opencode", [database])
    histories.change(database, "DELETE FROM part", "DELETE FROM message", "DELETE FROM session")
    assert ingest(workspace, "opencode", [database]).sessions == 0
    assert len(conversation(workspace, native_id)) == 9


def test_what_the_user_undid_stays_and_is_marked(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    ingest(workspace, "opencode", [database])
    assert not any(m.about.reverted for m in conversation(workspace, native_id))
    second_turn = conversation(workspace, native_id)[7].about.native_id
    histories.revert(database, native_id, second_turn)
    assert ingest(workspace, "opencode", [database]).changed == 1
    assert [m.about.reverted for m in conversation(workspace, native_id)] == [False] * 7 + [True] * 2


def test_commands_of_the_user_compaction_and_stops_are_told_apart(database: Path, workspace: Workspace) -> None:
    histories.write(database)
    with histories.telling(database) as told:
        histories.run_by_user(told, "ls", "calc.py")
        request = told.user([{"type": "text", "text": "go"}])
        told.step(request, {"text": "Going."})
        histories.compact(told, "We went.")
        histories.stop(told, told.user([{"type": "text", "text": "more"}]))
        histories.stop(told, told.user([{"type": "text", "text": "and more"}]), said="Well")
        native_id = told.id
    ingest(workspace, "opencode", [database])
    messages = conversation(workspace, native_id)
    assert [(m.role, m.about.origin, m.about.interrupted) for m in messages] == [
        ("user", "shell", False),
        ("assistant", "shell", False),
        ("tool", "shell", False),
        ("user", "", False),
        ("assistant", "", False),
        ("user", "compaction", False),
        ("assistant", "compaction", False),
        ("user", "compaction", False),
        ("user", "", False),
        ("user", "", False),
        ("assistant", "", True),
    ]
    assert messages[5].content == "What did we do so far?"


def test_a_subagents_session_is_linked_from_both_sides(database: Path, workspace: Workspace) -> None:
    parent, child = histories.write(database, histories.session("Parent"), histories.session("Child", parent=0))
    with histories.telling(database, "Delegating") as told:
        request = told.user([{"type": "text", "text": "delegate it"}])
        task = {"name": "task", "input": {"prompt": "x"}, "output": "done", "metadata": {"sessionId": child}}
        told.step(request, {"tools": [task]})
    ingest(workspace, "opencode", [database])
    assert read.session(workspace, child).parent == parent
    assert [row.native_id for row in read.children(workspace, read.session(workspace, parent))] == [child]
    assert conversation(workspace, told.id)[2].about.child == child


def test_json_files_read_like_the_database_they_became(tmp_path: Path, database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    histories.as_json_storage(database, tmp_path / "old" / "storage")
    ingest(workspace, "opencode", [tmp_path / "old"])
    from_json = conversation(workspace, native_id)
    other = Workspace(tmp_path / "other")
    ingest(other, "opencode", [database])
    assert from_json == conversation(other, native_id)
    assert read.session(workspace, native_id).agent == "build"


def test_a_session_in_json_and_in_the_database_counts_once(tmp_path: Path, workspace: Workspace) -> None:
    histories.write(tmp_path / "opencode.db")
    histories.as_json_storage(tmp_path / "opencode.db", tmp_path / "storage")
    (old,) = histories.write(tmp_path / "old.db", histories.session("Never migrated", created=7))
    histories.as_json_storage(tmp_path / "old.db", tmp_path / "storage")
    report = ingest(workspace, "opencode", [tmp_path])
    assert [(store.generations, store.new) for store in report.stores] == [(("sqlite",), 1), (("json",), 1)]
    assert read.session(workspace, old).title == "Never migrated"
    report = ingest(workspace, "opencode", [tmp_path / "storage"])  # also when only the poorer copy is looked at
    assert (report.new, report.changed, report.unchanged) == (0, 0, 2)


def test_a_database_of_two_generations_is_read_as_one(database: Path, workspace: Workspace) -> None:
    both, only_old = histories.write(database, histories.session("Both"), histories.session("Old", created=5))
    rows = [
        ("user", {"text": "fix it", "files": []}),
        (
            "assistant",
            {
                "agent": "build",
                "model": {"id": "coder", "providerID": "lab"},
                "content": [
                    {"type": "reasoning", "text": "Hm."},
                    {"type": "text", "text": "Running."},
                    {
                        "type": "tool",
                        "id": "c1",
                        "name": "shell",
                        "state": {
                            "status": "completed",
                            "input": {"command": "ls"},
                            "content": [{"type": "text", "text": "calc.py"}],
                            "metadata": {"exit": 0},
                        },
                    },
                ],
            },
        ),
        ("shell", {"command": "pwd", "output": "/home", "exit": 0}),
        ("idle", {"outcome": "succeeded"}),
        ("compaction", {"status": "completed", "summary": "It works.", "recent": ""}),
    ]
    histories.add_v2(database, both, "Both, newer", rows)
    histories.add_v2(database, "ses_v2only", "Only new", rows[:1])
    report = ingest(workspace, "opencode", [database])
    assert (report.sessions, report.stores[0].generations) == (3, ("sqlite 2", "sqlite"))
    assert read.session(workspace, both).title == "Both, newer"
    messages = conversation(workspace, both)
    assert [(m.role, m.about.origin) for m in messages] == [
        ("user", ""),
        ("assistant", ""),
        ("tool", ""),
        ("user", "shell"),
        ("user", "compaction"),
    ]
    assert messages[1].tool_calls[0].function.arguments == '{"command": "ls"}'
    assert (messages[1].reasoning_content, messages[2].content, messages[2].about.exit) == ("Hm.", "calc.py", 0)
    assert len(conversation(workspace, only_old)) == 9
    assert ingest(workspace, "opencode", [database]).unchanged == 3


def test_a_session_in_every_format_side_by_side_counts_once_and_the_newest_format_is_read(
    tmp_path: Path, workspace: Workspace
) -> None:
    (native_id,) = histories.write(tmp_path / "opencode.db", histories.session("Before"))
    histories.as_json_storage(tmp_path / "opencode.db", tmp_path / "storage")
    histories.add_v2(tmp_path / "opencode.db", native_id, "Newest format", [("user", {"text": "fix it", "files": []})])
    for _ in range(2):
        report = ingest(workspace, "opencode", [tmp_path / "storage", tmp_path])
        assert (report.sessions, len(report.stores)) == (1, 2)
        (row,) = read.sessions(workspace)
        assert (row.native_id, row.title, row.messages) == (native_id, "Newest format", 1)
        assert [message.content for message in conversation(workspace, native_id)] == ["fix it"]


@pytest.mark.parametrize("newer_first", [False, True])
def test_of_a_session_in_two_files_the_newer_copy_is_kept(
    newer_first: bool, tmp_path: Path, workspace: Workspace
) -> None:
    old, new = _two_copies(tmp_path)
    paths = [new, old] if newer_first else [old, new]
    report = ingest(workspace, "opencode", paths)
    assert (report.sessions, report.new, report.changed) == (1, 1, 0)
    assert {Path(store.where).name: store.sessions for store in report.stores} == {new.name: 1, old.name: 0}
    for again in ([old], [new], paths):
        report = ingest(workspace, "opencode", again)
        assert (report.new, report.changed, report.unchanged) == (0, 0, 1)
        assert [row.title for row in read.sessions(workspace)] == ["Went on"]


def test_a_stale_copy_of_another_channel_does_not_hide_the_main_database(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "opencode"
    folder.mkdir(parents=True)
    old, new = _two_copies(folder)
    old.rename(folder / "opencode-dev.db")
    new.rename(folder / "opencode.db")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder.parent))
    ingest(workspace, "opencode")
    assert [row.title for row in read.sessions(workspace)] == ["Went on"]


def test_two_files_that_differ_at_the_same_time_do_not_take_turns(tmp_path: Path, workspace: Workspace) -> None:
    one, two = _two_copies(tmp_path)
    histories.change(two, "UPDATE session SET time_updated = time_updated - 5")
    assert ingest(workspace, "opencode", [one]).new == 1
    for _ in range(2):
        assert ingest(workspace, "opencode", [one, two]).changed == 0
        assert [row.title for row in read.sessions(workspace)] == ["Fix the sign"]


def test_a_restored_backup_is_read_though_it_is_older(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    ingest(workspace, "opencode", [database])
    histories.change(database, "UPDATE session SET time_updated = time_updated - 1000, title = 'Restored'")
    assert ingest(workspace, "opencode", [database]).changed == 1
    assert read.session(workspace, native_id).title == "Restored"


def _two_copies(folder: Path) -> tuple[Path, Path]:
    """A database and a copy of it in which the session went on."""
    old, new = folder / "a-old.db", folder / "b-new.db"
    histories.write(old)
    shutil.copyfile(old, new)
    histories.change(
        new,
        "UPDATE session SET time_updated = time_updated + 5, title = 'Went on'",
        "UPDATE part SET time_updated = time_updated + 5 WHERE id = (SELECT max(id) FROM part)",
    )
    return old, new


def test_the_schema_of_an_early_version_is_enough(database: Path, workspace: Workspace) -> None:
    (native_id,) = histories.write(database)
    late = ["workspace_id", "path", "agent", "model", "cost", "metadata", "summary_diffs"]
    histories.change(
        database,
        "DROP INDEX session_workspace_idx",
        "DROP INDEX message_session_time_created_id_idx",
        "DROP INDEX part_message_id_id_idx",
        "CREATE INDEX message_session_idx ON message (session_id)",
        "CREATE INDEX part_message_idx ON part (message_id)",
        "DROP TABLE session_message",
        *(f"ALTER TABLE session DROP COLUMN {name}" for name in late),
    )
    ingest(workspace, "opencode", [database])
    row = read.session(workspace, native_id)
    assert (row.agent, row.model, row.messages) == ("build", "lab/coder", 9)


def test_a_session_can_be_named_by_the_beginning_of_its_id(database: Path, workspace: Workspace) -> None:
    one, two = histories.write(database, histories.session("One"), histories.session("Two", created=1))
    ingest(workspace, "opencode", [database])
    assert read.session(workspace, one[:12]).native_id == one
    for ambiguous in ("ses_", "", "nothing"):
        with pytest.raises(BadInput):
            read.session(workspace, ambiguous)
    assert one != two


def test_the_events_of_opencode_are_never_read(database: Path, workspace: Workspace) -> None:
    histories.write(database)
    histories.change(database, "DROP TABLE event", "CREATE VIEW event AS SELECT * FROM there_is_no_such_table")
    assert ingest(workspace, "opencode", [database]).new == 1


def test_from_the_command_line(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from lora_tui.cli.main import run

    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(tmp_path / "workspace"))
    (native_id,) = histories.write(database)
    assert run(["ingest", "opencode", str(database), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["new"] == 1
    assert run(["ingest", "opencode", str(database)]) == 0
    assert "1 unchanged (not read again)" in capfd.readouterr().out
    assert run(["sessions", "list"]) == 0
    assert native_id in capfd.readouterr().out
    assert run(["sessions", "show", native_id[:10], "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert (shown["id"], shown["source"], shown["agent"], shown["parent"]) == (native_id, "opencode", "build", None)
    assert shown["messages"][1]["tool_calls"][0]["function"]["name"] == "read"
    assert run(["sessions", "show", native_id]) == 0
    assert "── tool (exit 1)" in capfd.readouterr().out
    assert run(["ingest", "opencode", str(tmp_path / "nothing.db")]) == 2
    assert "no such file" in capfd.readouterr().err


@pytest.mark.parametrize("store", ["database", "storage"])
def test_a_byte_that_is_no_utf8_costs_no_message(
    database: Path, tmp_path: Path, workspace: Workspace, store: str
) -> None:
    (native_id,) = histories.write(database)
    storage = tmp_path / "storage"
    histories.as_json_storage(database, storage)
    histories.change(
        database,
        "UPDATE part SET data = CAST(replace(CAST(data AS BLOB), x'7369676e', x'73ff676e') AS TEXT)",
    )
    for path in storage.rglob("prt*.json"):
        path.write_bytes(path.read_bytes().replace(b"sign", b"s\xffgn"))
    report = ingest(workspace, "opencode", [database if store == "database" else storage])
    assert report.quarantined == []
    messages = conversation(workspace, native_id)
    assert len(messages) == 9
    assert "s\ufffdgn" in own_words(messages[0])
