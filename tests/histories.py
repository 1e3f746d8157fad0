"""Opencode histories as tests tell them: databases and folders in each of its formats, and what can happen in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lora_tui.demo.opencode_db import SessionWriter, write_database

CREATED = 1_790_000_000_000


def session(title: str = "Fix the sign", **more: Any) -> dict[str, Any]:
    """One session of two turns: a tool loop with a failing command, then an answer."""
    return {
        "title": title,
        "directory": "/home/dev/calc",
        "agent": "build",
        "model": "lab/coder",
        "created": CREATED,
        "turns": [
            {
                "user": "fix the sign in calc.py",
                "steps": [
                    {
                        "reasoning": "Look first.",
                        "text": "Reading.",
                        "tools": [{"name": "read", "input": {"filePath": "calc.py"}, "output": "1: a - b"}],
                    },
                    {
                        "tools": [
                            {"name": "bash", "input": {"command": "pytest"}, "output": "1 failed", "exit": 1},
                            {"name": "edit", "input": {"filePath": "calc.py"}, "error": "invalid arguments"},
                        ]
                    },
                    {"text": "Fixed."},
                ],
            },
            {
                "user": "and this file?",
                "attachments": [{"path": "/home/dev/calc/a.py", "text": "x = 1\ny = 2"}],
                "steps": [{"text": "Fine too."}],
            },
        ],
        **more,
    }


def write(path: Path, *sessions: dict[str, Any]) -> list[str]:
    """A database as opencode leaves it behind: no -wal, no -shm. Returns the session ids."""
    return write_database(path, sessions or [session()])


@contextmanager
def telling(path: Path, title: str = "Told", created: int = CREATED) -> Iterator[SessionWriter]:
    """Write one more session by hand into an existing database."""
    connection = sqlite3.connect(path)
    try:
        known = connection.execute("SELECT count(*) FROM session").fetchone()[0]
        empty = {"title": title, "directory": "/home/dev/calc", "agent": "build", "model": "lab/coder"}
        yield SessionWriter(connection, {**empty, "created": created + known * 60_000}, known)
        connection.commit()
    finally:
        connection.close()


def change(path: Path, *statements: str) -> None:
    """Run SQL on a database."""
    connection = sqlite3.connect(path)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def revert(path: Path, session_id: str, message: str) -> None:
    """What opencode notes when the user undoes everything from a message on."""
    noted = json.dumps({"messageID": message, "snapshot": "0" * 40})
    change(path, f"UPDATE session SET revert = '{noted}', time_updated = time_updated + 1 WHERE id = '{session_id}'")


def run_by_user(writer: SessionWriter, command: str, output: str) -> None:
    """The user's own !command."""
    request = writer.user([{"type": "text", "text": "The following tool was executed by the user", "synthetic": True}])
    message = writer.assistant(request)
    state = {"status": "completed", "input": {"command": command}, "output": output, "title": "", "metadata": {}}
    tool = {"type": "tool", "tool": "bash", "callID": "user-1", "state": {**state, "time": {"start": 1, "end": 2}}}
    writer.part(message, tool)


def compact(writer: SessionWriter, summary: str) -> None:
    """The model's context starts anew from a summary."""
    request = writer.user([{"type": "compaction", "auto": True}])
    writer.step(request, {"text": summary}, summary=True, mode="compaction", agent="compaction")
    more = {"type": "text", "text": "Continue if you have next steps", "synthetic": True}
    writer.user([{**more, "metadata": {"compaction_continue": True}}])


def stop(writer: SessionWriter, request: str, said: str = "") -> None:
    """The user stops the model."""
    message = writer.assistant(request, error={"name": "MessageAbortedError", "data": {"message": "Aborted"}})
    writer.part(message, {"type": "step-start"})
    if said:
        writer.part(message, {"type": "text", "text": said})


def as_json_storage(database: Path, storage: Path) -> None:
    """The same sessions as the JSON files that versions up to 1.1 kept."""
    connection = sqlite3.connect(database)
    for native_id, parent, directory, title, created, updated in connection.execute(
        "SELECT id, parent_id, directory, title, time_created, time_updated FROM session"
    ):
        times = {"created": created, "updated": updated}
        info = {"id": native_id, "version": "1.1.65", "directory": directory, "title": title, "time": times}
        _put(storage / "session" / "global" / f"{native_id}.json", {**info, **({"parentID": parent} if parent else {})})
    for native_id, of, data in connection.execute("SELECT id, session_id, data FROM message"):
        found = {"id": native_id, "sessionID": of, **json.loads(data)}
        _put(storage / "message" / of / f"{native_id}.json", found)
    for native_id, message, of, data in connection.execute("SELECT id, message_id, session_id, data FROM part"):
        found = {"id": native_id, "messageID": message, "sessionID": of, **json.loads(data)}
        _put(storage / "part" / message / f"{native_id}.json", found)
    connection.close()


def add_v2(database: Path, native_id: str, title: str, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """A session of opencode 2.x, into the tables that stand beside the older ones."""
    connection = sqlite3.connect(database)
    connection.executescript(_V2)
    connection.execute(
        "INSERT INTO session_v2 (id, project_id, slug, directory, title, version, agent, time_created, time_updated)"
        " VALUES (?, 'global', 's', '/home/dev/calc', ?, '2.0.4', 'build', ?, ?)",
        (native_id, title, CREATED, CREATED + 99),
    )
    for seq, (kind, data) in enumerate(rows):
        connection.execute(
            "INSERT INTO session_message VALUES (?, ?, ?, ?, ?, ?, ?)",
            (f"{native_id}-{seq}", native_id, kind, seq, CREATED + seq, CREATED + seq, json.dumps(data)),
        )
    connection.commit()
    connection.close()


def _put(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False))


_V2 = """
CREATE TABLE IF NOT EXISTS session_v2 (
    id text PRIMARY KEY, project_id text NOT NULL, parent_id text, fork_session_id text, slug text NOT NULL,
    directory text NOT NULL, title text, version text NOT NULL, revert text, agent text, model text,
    time_created integer NOT NULL, time_updated integer NOT NULL
);
CREATE TABLE IF NOT EXISTS session_message (
    id text PRIMARY KEY, session_id text NOT NULL, type text NOT NULL, seq integer NOT NULL,
    time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL
);
PRAGMA foreign_keys=OFF;
"""
