"""An ingest never changes what it reads, and a store it cannot read never changes the workspace."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import histories
from lora_tui.sources import read, spool
from lora_tui.sources.ingest import ingest
from lora_tui.sources.opencode import opening
from lora_tui.sources.registry import source
from lora_tui.workspace.errors import LoraTuiError, SourceError
from lora_tui.workspace.layout import Workspace

NOBODY = 65534

_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint=0")
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""
_NEW_TITLE = "UPDATE session SET title = 'Written into the log', time_updated = time_updated + 1"


@contextmanager
def writer(path: Path, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """Another program that has the database open and has run these statements."""
    command = [sys.executable, "-c", _WRITER, str(path), *statements]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()


def state(folder: Path) -> dict[str, str]:
    """Every file with its content; of the shared memory, which is no data, only that it is there."""
    return {
        path.name: "" if path.name.endswith("-shm") else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "opencode"
    folder.mkdir()
    histories.write(folder / "opencode.db")
    return folder / "opencode.db"


def test_a_database_at_rest_and_its_folder_stay_as_they_are(database: Path, workspace: Workspace) -> None:
    before = state(database.parent)
    assert ingest(workspace, "opencode", [database]).new == 1
    assert state(database.parent) == before
    assert list(before) == ["opencode.db"]


def test_beside_a_running_opencode_its_log_is_read_and_stays_as_it_is(database: Path, workspace: Workspace) -> None:
    with writer(database, _NEW_TITLE):
        before = state(database.parent)
        assert set(before) == {"opencode.db", "opencode.db-wal", "opencode.db-shm"}
        ingest(workspace, "opencode", [database])
        assert state(database.parent) == before
    assert [row.title for row in read.sessions(workspace)] == ["Written into the log"]


def test_a_log_left_by_a_killed_opencode_is_read_without_a_trace(database: Path, workspace: Workspace) -> None:
    with writer(database, _NEW_TITLE):
        pass
    (database.parent / "opencode.db-shm").unlink()
    before = state(database.parent)
    ingest(workspace, "opencode", [database])
    assert state(database.parent) == before
    assert [row.title for row in read.sessions(workspace)] == ["Written into the log"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("leftover", ["nothing", "log", "log and shared memory"])
def test_a_read_only_folder_is_read(leftover: str) -> None:
    root = Path(tempfile.mkdtemp(prefix="lora-tui-test-"))
    try:
        folder = root / "opencode"
        folder.mkdir()
        database = folder / "opencode.db"
        histories.write(database)
        if leftover != "nothing":
            with writer(database, _NEW_TITLE):
                pass
        if leftover == "log":
            (folder / "opencode.db-shm").unlink()
        before = state(folder)
        mine = root / "workspace"
        mine.mkdir()
        for path, mode in (
            (root, 0o755),
            (mine, 0o777),
            *((file, 0o444) for file in folder.iterdir()),
            (folder, 0o555),
        ):
            path.chmod(mode)
        assert _as_nobody(mine, database) == 0
        assert state(folder) == before
        titles = [row.title for row in read.sessions(Workspace(mine))]
        assert titles == (["Fix the sign"] if leftover == "nothing" else ["Written into the log"])
    finally:
        folder.chmod(0o755)
        shutil.rmtree(root)


def _as_nobody(folder: Path, database: Path) -> int:
    """Ingest in a child that may write `folder` only; returns its exit code."""
    source("opencode")  # imported now: the child may not be able to
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.umask(0)
            assert not os.access(database.parent, os.W_OK)
            tempfile.tempdir = str(folder)
            ingest(Workspace(folder), "opencode", [database])
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_written_while_we_read_is_there_in_the_end(database: Path, workspace: Workspace) -> None:
    with ExitStack() as programs:
        pending = [writer(database, _NEW_TITLE)]

        def meanwhile(*_: object) -> None:
            while pending:
                programs.enter_context(pending.pop())

        ingest(workspace, "opencode", [database], meanwhile)
    assert [row.title for row in read.sessions(workspace)] == ["Written into the log"]


def _zero(path: Path) -> None:
    path.write_bytes(b"")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _tamper_with_the_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 4\0" + path.read_bytes()[16:])


def _tamper_with_the_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    path.write_bytes(content)


def _text(path: Path) -> None:
    path.write_text("these are my notes about opencode, quite a few of them")


def _foreign(path: Path) -> None:
    path.unlink()
    histories.change(path, "CREATE TABLE session (id text, shop text)", "CREATE TABLE message (text text)")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_zero, "empty"),
        (_truncate, "damaged"),
        (_tamper_with_the_header, "not an SQLite database"),
        (_tamper_with_the_pages, "damaged"),
        (_text, "not an SQLite database"),
        (_foreign, "not opencode's"),
        (Path.unlink, "no such file"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_clear_error(
    damage: object, said: str, tmp_path: Path, database: Path, workspace: Workspace
) -> None:
    other = tmp_path / "other.db"
    histories.write(other, histories.session("Kept"))
    ingest(workspace, "opencode", [other])
    kept = _content(workspace)
    assert callable(damage)
    damage(database)
    before = state(database.parent)
    with pytest.raises(SourceError, match=said) as caught:
        ingest(workspace, "opencode", [database])
    assert caught.value.where == str(database)
    assert caught.value.fix
    assert _content(workspace) == kept
    assert state(database.parent) == before


def test_a_locked_database_is_one_clear_error(
    database: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 200)
    with (
        writer(database, "PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"),
        pytest.raises(SourceError, match="locked"),
    ):
        ingest(workspace, "opencode", [database])
    assert _content(workspace) == []


def test_one_bad_store_does_not_keep_the_others_from_being_read(database: Path, workspace: Workspace) -> None:
    _text(database.with_name("opencode-dev.db"))
    report = ingest(workspace, "opencode", [database.parent])
    assert (report.new, [Path(failure.where).name for failure in report.failures]) == (1, ["opencode-dev.db"])


def test_others_can_write_to_the_workspace_while_a_store_is_read(database: Path, workspace: Workspace) -> None:
    written: list[str] = []

    def label(done: int, total: int, text: str) -> None:
        other = sqlite3.connect(workspace.database, timeout=0, isolation_level=None)
        other.execute("CREATE TABLE IF NOT EXISTS labelled (at INTEGER)")
        other.execute("INSERT INTO labelled VALUES (?)", (done,))
        other.close()
        written.append(text)

    assert ingest(workspace, "opencode", [database], label).new == 1
    assert len(written) == 2
    assert [row.title for row in read.sessions(workspace)] == ["Fix the sign"]


def test_others_can_write_between_the_parts_of_a_large_store(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "PART", 1)
    database = tmp_path / "long.db"
    histories.write(database, *(histories.session(f"Number {n}", created=n + 1) for n in range(4)))
    written: list[int] = []

    def label(seconds: float) -> None:
        other = sqlite3.connect(workspace.database, timeout=0, isolation_level=None)
        other.execute("CREATE TABLE IF NOT EXISTS labelled (seconds REAL)")
        written.append(other.execute("SELECT count(*) FROM session").fetchone()[0])
        other.close()

    monkeypatch.setattr(spool.time, "sleep", label)
    assert ingest(workspace, "opencode", [database]).new == 4
    assert written == [1, 2, 3]
    assert len(_content(workspace)) == 4 * 9


def test_a_store_damaged_at_its_end_leaves_nothing_of_its_beginning(tmp_path: Path, workspace: Workspace) -> None:
    database = tmp_path / "long.db"
    histories.write(database, *(histories.session(f"Number {n}", created=n + 1) for n in range(40)))
    seen: list[str] = []

    def damage(done: int, total: int, text: str) -> None:
        seen.append(text)
        if done == 20:
            with database.open("r+b") as file:
                file.seek(4096 * 4)
                file.write(b"\xff" * (database.stat().st_size - 4096 * 4))

    with pytest.raises(SourceError, match="damaged"):
        ingest(workspace, "opencode", [database], damage)
    assert len(seen) > 20
    assert _content(workspace) == []
    assert not list(workspace.root.glob("ingest-*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_error(database: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(LoraTuiError, match="No space") as caught:
        monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: full)
        ingest(workspace, "opencode", [database])
    assert "Free some space" in caught.value.fix
    assert _content(workspace) == []


def test_an_interrupt_leaves_the_workspace_as_it_was(database: Path, workspace: Workspace) -> None:
    def interrupt(done: int, total: int, text: str) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(workspace, "opencode", [database], interrupt)
    assert _content(workspace) == []
    assert ingest(workspace, "opencode", [database]).new == 1


def test_a_row_that_cannot_be_understood_is_listed_and_the_rest_is_read(database: Path, workspace: Workspace) -> None:
    histories.change(
        database,
        "UPDATE part SET data = '{\"type\": 7}' WHERE id = (SELECT min(id) FROM part WHERE data LIKE '%Reading%')",
        "UPDATE part SET data = 'no json' WHERE id = (SELECT max(id) FROM part WHERE data LIKE '%pytest%')",
        "UPDATE message SET data = x'ff00' WHERE id = (SELECT max(id) FROM message)",
    )
    report = ingest(workspace, "opencode", [database])
    assert sorted(row.kind for row in report.quarantined) == ["message", "part", "part"]
    assert all(row.reason and row.native_id and row.session for row in report.quarantined)
    (row,) = read.sessions(workspace)
    said = [message.content for message in read.messages(workspace, row.id)]
    assert "Fixed." in said
    assert "1: a - b" in said


def test_a_row_of_monstrous_size_is_listed_and_the_rest_is_read(
    database: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LARGEST_ROW", 100_000)
    histories.change(
        database,
        'UPDATE part SET data = \'{"type":"text","text":"\' || hex(zeroblob(80000)) || \'"}\' '
        "WHERE data LIKE '%Reading%'",
        "UPDATE message SET data = hex(zeroblob(80000)) WHERE id = (SELECT min(id) FROM message)",
    )
    report = ingest(workspace, "opencode", [database])
    assert sorted(row.kind for row in report.quarantined) == ["message", "part"]
    (row,) = read.sessions(workspace)
    assert [m.role for m in read.messages(workspace, row.id)][:3] == ["assistant", "tool", "assistant"]


def _content(workspace: Workspace) -> list[tuple[object, ...]]:
    connection: sqlite3.Connection = workspace.connection()
    return connection.execute("SELECT * FROM session LEFT JOIN message ON session_id = session.id").fetchall()
