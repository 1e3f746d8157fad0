"""`opencode export SESSION > FILE`: the same conversation as in the database, and the same session."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import histories
from lora_tui.cli.main import run
from lora_tui.sources import read
from lora_tui.sources.discover import source_of
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace


def exported(database: Path, session: str) -> dict[str, Any]:
    """A session as opencode 1.18 prints it: columns and `data` of each row in one object, ids at the end."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT * FROM session WHERE id = ?", (session,)).fetchone()
    messages = connection.execute("SELECT * FROM message WHERE session_id = ? ORDER BY time_created, id", (session,))
    info = {"id": row["id"], "slug": row["slug"], "directory": row["directory"], "title": row["title"]}
    info |= {"parentID": row["parent_id"]} if row["parent_id"] else {}
    info |= {name: json.loads(row[name]) for name in ("model", "revert") if row[name]}
    info |= {"agent": row["agent"], "version": row["version"]}
    info |= {"time": {"created": row["time_created"], "updated": row["time_updated"]}}
    found = [_message(connection, message) for message in messages]
    connection.close()
    return {"info": info, "messages": found}


def _message(connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    parts = connection.execute("SELECT * FROM part WHERE message_id = ? ORDER BY id", (row["id"],))
    of = {"sessionID": row["session_id"]}
    return {
        "info": {**json.loads(row["data"]), "id": row["id"], **of},
        "parts": [{**json.loads(one["data"]), "id": one["id"], **of, "messageID": row["id"]} for one in parts],
    }


def write(folder: Path, export: dict[str, Any]) -> Path:
    """What opencode prints: indented, and no other character escaped than JSON asks for."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{export['info']['id']}.json"
    text = json.dumps(export, indent=2, ensure_ascii=False) + "\n"
    path.write_text("".join(f"\\u{ord(one):x}" if "\ud800" <= one <= "\udfff" else one for one in text))
    return path


def sanitized(export: dict[str, Any]) -> dict[str, Any]:
    """What `--sanitize` makes of it."""
    native_id = export["info"]["id"]
    export["info"]["title"] = f"[redacted:session-title:{native_id}]"
    export["info"]["directory"] = f"[redacted:session-directory:{native_id}]"
    for message in export["messages"]:
        for part in message["parts"]:
            if part["type"] == "text":
                part["text"] = f"[redacted:text:{part['id']}]"
    return export


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """What can happen in a session: delegated work, a summary, an undone turn, a command of the user, a stop."""
    path = tmp_path / "opencode.db"
    first, *_ = histories.write(path, histories.session(), histories.session("Delegated", parent=0))
    with histories.telling(path) as writer:
        writer.turn({"user": "half a HALF smile", "steps": [{"text": "Zwei Äpfel\n  kosten 3 €."}]})
        histories.run_by_user(writer, "git  status", "nothing to do")
        histories.compact(writer, "We talked.")
        histories.stop(writer, writer.user([{"type": "text", "text": "go on"}]), "I")
    histories.change(path, r"UPDATE part SET data = replace(data, 'HALF', '\ud83d')")  # legal in JavaScript
    with sqlite3.connect(path) as connection:
        query = "SELECT id FROM message WHERE session_id = ? ORDER BY id"
        undone = connection.execute(query, (first,)).fetchall()[-1][0]
    connection.close()
    histories.revert(path, first, undone)
    return path


@pytest.fixture
def folder(tmp_path: Path, database: Path) -> Path:
    """Every session of the database as an export."""
    with sqlite3.connect(database) as connection:
        ids = [native_id for (native_id,) in connection.execute("SELECT id FROM session")]
    connection.close()
    for native_id in ids:
        write(tmp_path / "exports", exported(database, native_id))
    return tmp_path / "exports"


def stored(workspace: Workspace) -> list[Any]:
    """Everything about every session, but where it was read."""
    rows = read.sessions(workspace)
    fields = [name for name in read.SessionRow.__struct_fields__ if name not in ("id", "origin")]
    return [([getattr(row, name) for name in fields], list(read.messages(workspace, row.id))) for row in rows]


def test_an_export_is_the_same_conversation_as_in_the_database(database: Path, folder: Path, tmp_path: Path) -> None:
    from_database, from_exports = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    assert ingest(from_database, "opencode", [database]).new == 3
    report = ingest(from_exports, "opencode-export", [folder])
    assert (report.new, report.quarantined, report.failures) == (3, [], [])
    assert stored(from_exports) == stored(from_database)
    arguments = [call.function.arguments for _, said in stored(from_exports) for one in said for call in one.tool_calls]
    assert '{"filePath":"calc.py"}' in arguments


def test_reading_it_again_writes_nothing_not_even_from_a_copy(
    folder: Path, tmp_path: Path, workspace: Workspace
) -> None:
    ingest(workspace, "opencode-export", [folder])
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in folder.iterdir():
        (copies / f"copy of {path.name}").write_bytes(path.read_bytes())
    report = ingest(workspace, "opencode-export", [folder, copies])
    assert (report.unchanged, report.changed, report.messages) == (3, 0, 0)


def test_a_session_read_from_the_database_is_not_there_twice(
    database: Path, folder: Path, workspace: Workspace
) -> None:
    ingest(workspace, "opencode", [database])
    report = ingest(workspace, "opencode-export", [folder])
    assert (report.unchanged, report.messages, read.count(workspace)) == (3, 0, 3)


def test_the_copy_that_was_changed_later_is_kept(database: Path, tmp_path: Path, workspace: Workspace) -> None:
    native_id = read_one(database, workspace)

    def from_export(title: str, later: int) -> IngestReport:
        export = exported(database, native_id)
        export["info"]["title"] = title
        export["info"]["time"]["updated"] += later
        return ingest(workspace, "opencode-export", [write(tmp_path / title, export)])

    assert from_export("older", -1).changed == 0
    assert from_export("newer", 1).changed == 1
    assert read.session(workspace, native_id).title == "newer"
    assert ingest(workspace, "opencode", [database]).changed == 0
    assert read.session(workspace, native_id).title == "newer"
    histories.change(database, "UPDATE session SET time_updated = time_updated + 2")
    ingest(workspace, "opencode", [database])
    assert read.session(workspace, native_id).title == "Fix the sign"


def read_one(database: Path, workspace: Workspace) -> str:
    """Ingest the database; the id of its first session."""
    ingest(workspace, "opencode", [database])
    return next(row.native_id for row in read.sessions(workspace) if row.title == "Fix the sign")


def test_a_sanitized_export_is_refused_and_the_others_are_read(
    folder: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    path = sorted(folder.iterdir())[0]
    write(folder, sanitized(json.loads(path.read_text())))
    command = ["--workspace", str(workspace.root), "ingest"]
    for named in (["opencode-export"], ["--path"]):
        assert run([*command, *named, str(path)]) == 2
        shown = capfd.readouterr()
        assert "made with --sanitize" in shown.out + shown.err
        assert read.count(workspace) == 0
    assert run([*command, "opencode-export", str(folder)]) == 2
    assert "2 new" in (shown := capfd.readouterr()).out
    assert shown.out.count("made with --sanitize") == 1


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _nested(text: str) -> str:
    return text.replace('"messages": [', '"messages": [' + "[" * 100_000, 1)


def _without_messages(text: str) -> str:
    return text.replace('"messages"', '"items"')


@pytest.mark.parametrize("damage", [_cut, _nested, _without_messages])
def test_a_damaged_export_is_named_and_leaves_nothing_behind(
    folder: Path, workspace: Workspace, damage: Callable[[str], str]
) -> None:
    path = sorted(folder.iterdir())[0]
    path.write_text(damage(path.read_text()))
    with pytest.raises(SourceError, match="the export cannot be understood") as raised:
        ingest(workspace, "opencode-export", [path])
    assert raised.value.where == str(path)
    report = ingest(workspace, "opencode-export", [folder])
    assert (report.new, [failure.where for failure in report.failures]) == (2, [str(path)])


def test_what_cannot_be_understood_is_left_out_and_named(database: Path, tmp_path: Path, workspace: Workspace) -> None:
    native_id = read_one(database, Workspace(tmp_path / "elsewhere"))
    export = exported(database, native_id)
    whole = len(export["messages"])
    export["messages"][0]["parts"].append({"type": "text", "text": 7, "id": "prt_z"})
    export["messages"] += [{"info": {"role": "critic", "id": "msg_z"}, "parts": []}, {"info": [], "parts": []}]
    report = ingest(workspace, "opencode-export", [write(tmp_path / "exports", export)])
    assert [(one.kind, one.native_id) for one in report.quarantined] == [
        ("message", "msg_z"),
        ("message", f"number {whole + 2}"),
        ("part", f"{export['messages'][0]['info']['id']} number 2"),
    ]
    assert {one.session for one in report.quarantined} == {native_id}
    first, *_ = read.messages(workspace, read.session(workspace, native_id).id)
    assert first.content == "fix the sign in calc.py"


def test_a_wrong_byte_costs_the_text_it_is_in(database: Path, tmp_path: Path, workspace: Workspace) -> None:
    native_id = read_one(database, Workspace(tmp_path / "elsewhere"))
    path = write(tmp_path / "exports", exported(database, native_id))
    for place in (b'"filePath": "calc', b'"text": "Fix'):
        path.write_bytes(path.read_bytes().replace(place, place + b"\xff", 1))
    report = ingest(workspace, "opencode-export", [path])
    assert (report.new, [one.kind for one in report.quarantined]) == (1, ["part", "part"])


def test_an_export_is_known_by_its_beginning_and_other_json_is_left_alone(
    folder: Path, tmp_path: Path, workspace: Workspace
) -> None:
    chats = tmp_path / "chats"
    chats.mkdir()
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}]
    (chats / "chat.json").write_text(json.dumps([{"messages": said}]))
    assert [source_of(path) for path in (folder, sorted(folder.iterdir())[0])] == ["opencode-export"] * 2
    assert [source_of(path) for path in (chats, chats / "chat.json")] == ["chat"] * 2
    (folder / "a_package.json").write_text('{"name": "calc"}')
    report = ingest(workspace, "opencode-export", [folder])
    assert (report.new, report.failures) == (3, [])


def test_what_holds_no_export_is_told(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    for paths, told in (
        ([], "have no place of their own"),
        ([tmp_path / "empty"], "no exports of opencode in this folder"),
        ([tmp_path / "other.json"], "this is no export of opencode"),
        ([tmp_path / "nowhere.json"], "there is no such file"),
    ):
        with pytest.raises(SourceError, match=told):
            ingest(workspace, "opencode-export", paths)
