"""Writing sessions into a database as opencode 1.18 keeps them.

The demo's bundled sessions go through it, and so do tests and benchmarks: what the reader sees has the real tables,
ids, part types and write-ahead log. The same input gives the same rows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

VERSION = "1.18.33"
PROJECT = "global"

_STEP_MS = 1_500
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# The columns and indices of 1.18; of the tables that lora-tui never reads, those whose presence matters.
SCHEMA = """
CREATE TABLE project (
    id text PRIMARY KEY, worktree text NOT NULL, vcs text, name text, icon_url text, icon_url_override text,
    icon_color text, time_created integer NOT NULL, time_updated integer NOT NULL, time_initialized integer,
    sandboxes text NOT NULL, commands text
);
CREATE TABLE session (
    id text PRIMARY KEY, project_id text NOT NULL REFERENCES project (id) ON DELETE CASCADE, workspace_id text,
    parent_id text, slug text NOT NULL, directory text NOT NULL, path text, title text NOT NULL, version text NOT NULL,
    share_url text, summary_additions integer, summary_deletions integer, summary_files integer, summary_diffs text,
    metadata text, cost real DEFAULT 0 NOT NULL, tokens_input integer DEFAULT 0 NOT NULL,
    tokens_output integer DEFAULT 0 NOT NULL, tokens_reasoning integer DEFAULT 0 NOT NULL,
    tokens_cache_read integer DEFAULT 0 NOT NULL, tokens_cache_write integer DEFAULT 0 NOT NULL, revert text,
    permission text, agent text, model text, time_created integer NOT NULL, time_updated integer NOT NULL,
    time_compacting integer, time_archived integer
);
CREATE INDEX session_project_idx ON session (project_id);
CREATE INDEX session_workspace_idx ON session (workspace_id);
CREATE INDEX session_parent_idx ON session (parent_id);
CREATE TABLE message (
    id text PRIMARY KEY, session_id text NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL
);
CREATE INDEX message_session_time_created_id_idx ON message (session_id, time_created, id);
CREATE TABLE part (
    id text PRIMARY KEY, message_id text NOT NULL REFERENCES message (id) ON DELETE CASCADE, session_id text NOT NULL,
    time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL
);
CREATE INDEX part_message_id_id_idx ON part (message_id, id);
CREATE INDEX part_session_idx ON part (session_id);
CREATE TABLE todo (
    session_id text NOT NULL REFERENCES session (id) ON DELETE CASCADE, content text NOT NULL, status text NOT NULL,
    priority text NOT NULL, position integer NOT NULL, time_created integer NOT NULL, time_updated integer NOT NULL,
    PRIMARY KEY (session_id, position)
);
CREATE TABLE event_sequence (aggregate_id text PRIMARY KEY, seq integer NOT NULL, owner_id text);
CREATE TABLE event (
    id text PRIMARY KEY, aggregate_id text NOT NULL REFERENCES event_sequence (aggregate_id) ON DELETE CASCADE,
    seq integer NOT NULL, type text NOT NULL, data text NOT NULL
);
CREATE UNIQUE INDEX event_aggregate_seq_idx ON event (aggregate_id, seq);
CREATE TABLE session_message (
    id text PRIMARY KEY, session_id text NOT NULL REFERENCES session (id) ON DELETE CASCADE, type text NOT NULL,
    seq integer NOT NULL, time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL
);
CREATE UNIQUE INDEX session_message_session_seq_idx ON session_message (session_id, seq);
CREATE TABLE migration (id text PRIMARY KEY, time_completed integer NOT NULL);
"""


def write_database(path: Path, sessions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Make a new database at `path` with these sessions; returns their ids, in order.

    A session: {"title", "directory", "agent", "model" ("provider/id"), "created" (ms), "parent"? (index),
    "turns": [{"user", "attachments"?: [{"path", "text"}], "steps": [{"reasoning"?, "text"?,
    "tools"?: [{"name", "input", "output"?, "error"?, "exit"?}]}]}]}.
    """
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA)
        connection.execute(
            "INSERT INTO project (id, worktree, time_created, time_updated, sandboxes) VALUES (?, '/', 0, 0, '[]')",
            (PROJECT,),
        )
        ids: list[str] = []
        for index, session in enumerate(sessions):
            parent = session.get("parent")
            writer = SessionWriter(connection, session, index, ids[parent] if parent is not None else None)
            for turn in session["turns"]:
                writer.turn(turn)
            ids.append(writer.id)
        connection.commit()
        return ids
    finally:
        connection.close()


class SessionWriter:
    """One session's rows, written in the order opencode writes them."""

    def __init__(
        self, connection: sqlite3.Connection, session: Mapping[str, Any], index: int, parent: str | None = None
    ) -> None:
        self._connection = connection
        self._provider, _, self._model = str(session["model"]).partition("/")
        self._agent = str(session["agent"])
        self._directory = str(session["directory"])
        self._parent = parent
        self._now = int(session["created"])
        self._seed = f"{index}:{session['title']}"
        self._count = 0
        self.id = f"ses_{_descending(self._now)}{_letters(self._seed)}"
        connection.execute(
            "INSERT INTO session (id, project_id, parent_id, slug, directory, title, version, agent, model,"
            " time_created, time_updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.id,
                PROJECT,
                parent,
                f"session-{index}",
                self._directory,
                session["title"],
                VERSION,
                self._agent,
                _json({"id": self._model, "providerID": self._provider}),
                self._now,
                self._now,
            ),
        )

    def turn(self, turn: Mapping[str, Any]) -> None:
        """One request with the model's steps."""
        request = self.user([{"type": "text", "text": turn["user"]}], turn.get("attachments", ()))
        steps = turn["steps"]
        for number, step in enumerate(steps):
            self.step(request, step, last=number == len(steps) - 1)

    def user(self, parts: Sequence[Mapping[str, Any]], attachments: Sequence[Mapping[str, str]] = ()) -> str:
        """A user message; an attached text file becomes the synthetic texts that opencode writes. Returns its id."""
        model = {"providerID": self._provider, "modelID": self._model}
        message = self.message({"role": "user", "agent": self._agent, "model": model})
        for part in parts:
            self.part(message, part)
        for file in attachments:
            self._attachment(message, file["path"], file["text"])
        return message

    def step(self, request: str, step: Mapping[str, Any], last: bool = True, snapshot: str = "", **info: Any) -> str:
        """One answer of the model to the user message `request`. Returns the assistant message's id."""
        mark = {"snapshot": snapshot} if snapshot else {}
        finish = "tool-calls" if step.get("tools") else "stop" if last else "unknown"
        message = self.assistant(request, finish=finish, **info)
        self.part(message, {"type": "step-start", **mark})
        for kind in ("reasoning", "text"):
            if kind in step:
                self.part(message, {"type": kind, "text": step[kind], "time": {"start": self._now, "end": self._now}})
        for tool in step.get("tools", ()):
            self.part(message, self._tool(tool))
        self.part(message, {"type": "step-finish", "reason": finish, **mark, "cost": 0, "tokens": _TOKENS})
        return message

    def assistant(self, request: str, **info: Any) -> str:
        """An assistant message without parts. Returns its id."""
        data = {
            "role": "assistant",
            "parentID": request,
            "mode": self._agent,
            "agent": self._agent,
            "path": {"cwd": self._directory, "root": "/"},
            "cost": 0,
            "tokens": _TOKENS,
            "providerID": self._provider,
            "modelID": self._model,
        }
        return self.message({**data, **info})

    def message(self, data: Mapping[str, Any]) -> str:
        """A message row. Returns its id."""
        self._now += _STEP_MS
        native_id = self._next("msg")
        times = {"created": self._now, **({"completed": self._now} if data["role"] == "assistant" else {})}
        self._connection.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)",
            (native_id, self.id, self._now, self._now, _json({"time": times, **data})),
        )
        self._connection.execute("UPDATE session SET time_updated = ? WHERE id = ?", (self._now, self.id))
        return native_id

    def part(self, message: str, data: Mapping[str, Any]) -> str:
        """A part row. Returns its id."""
        native_id = self._next("prt")
        self._connection.execute(
            "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)",
            (native_id, message, self.id, self._now, self._now, _json(data)),
        )
        return native_id

    def _attachment(self, message: str, path: str, text: str) -> None:
        lines = text.splitlines()
        numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, 1))
        called = f"Called the Read tool with the following input: {_json({'filePath': path})}"
        content = (
            f"<path>{path}</path>\n<type>file</type>\n<content>\n{numbered}\n\n"
            f"(End of file - total {len(lines)} lines)\n</content>"
        )
        self.part(message, {"type": "text", "synthetic": True, "text": called})
        self.part(message, {"type": "text", "synthetic": True, "text": content})
        name = path.rsplit("/", 1)[-1]
        self.part(message, {"type": "file", "mime": "text/plain", "filename": name, "url": f"file://{path}"})

    def _tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        times = {"start": self._now, "end": self._now + 40}
        state: dict[str, Any] = {"status": "completed", "input": tool["input"], "time": times}
        if "error" in tool:
            state.update(status="error", error=tool["error"])
        else:
            output = tool.get("output", "")
            metadata: dict[str, Any] = {"truncated": False}
            if tool["name"] == "bash":
                metadata = {"output": output, "exit": tool.get("exit", 0), "truncated": False}
            metadata |= tool.get("metadata", {})
            state.update(output=output, title="", metadata=metadata)
        self._count += 1
        call = f"call_{hashlib.sha256(f'{self._seed}:{self._count}'.encode()).hexdigest()[:20]}"
        return {"type": "tool", "callID": call, "tool": tool["name"], "state": state}

    def _next(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{_ascending(self._now, self._count)}{_letters(f'{self._seed}:{self._count}')}"


_TOKENS = {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _ascending(milliseconds: int, count: int) -> str:
    """Twelve hexadecimal digits that grow with time and count, as in opencode's message ids."""
    return f"{(milliseconds * 0x1000 + count % 0x1000) & 0xFFFFFFFFFFFF:012x}"


def _descending(milliseconds: int) -> str:
    """Twelve hexadecimal digits that shrink with time, as in opencode's session ids."""
    return f"{~(milliseconds * 0x1000 + 1) & 0xFFFFFFFFFFFF:012x}"


def _letters(seed: str) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:11], "big")
    letters = ""
    for _ in range(14):
        number, rest = divmod(number, len(_BASE62))
        letters += _BASE62[rest]
    return letters
