"""Places that cannot be read: each is named as not read, none is waited for, none is passed over in silence."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claude_files import fixed_a_bug as claude_session
from codex_files import fixed_a_bug as codex_session
from lora_tui.cli.main import run
from lora_tui.sources import discover, ingest, registry
from lora_tui.sources.registry import SOURCES, Source
from lora_tui.sources.unread import Unread
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace

NOBODY = 65534
HISTORIES = ("claude-code", "codex")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="lora-tui-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Nobody may enter the folder, and we are nobody in particular."""
    before = os.geteuid()
    folder.chmod(0)
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
        folder.chmod(0o755)


def histories(name: str, folder: Path) -> tuple[Source, Path]:
    """A source with a session in `folder` and another in the returned folder below it."""
    found = registry.source(name)
    if name == "claude-code":
        claude_session().write(folder / "projects")
        inner = folder / "projects" / "-home-dev-other"
        shutil.copytree(folder / "projects" / "-home-dev-calc", inner)
    else:
        codex_session().write(folder)
        inner = codex_session("0" * 8 + "-1111-7111-8111-" + "2" * 12).write(folder, folder="sessions/2026/12").parent
    return found, inner


@pytest.mark.parametrize("name", HISTORIES)
def test_a_folder_without_rights_is_a_failure_beside_what_is_read(name: str, open_folder: Path) -> None:
    source, inner = histories(name, open_folder)
    assert [type(store) for store in source.stores([open_folder])] != []
    with without_rights(inner):
        stores = source.stores([open_folder])
    (closed,) = [store for store in stores if isinstance(store, Unread)]
    assert len(stores) == 2
    assert closed.where == str(inner)
    with pytest.raises(SourceError, match="Permission denied"):
        closed.reading()


def test_a_folder_without_rights_is_told_with_exit_code_2(
    open_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source, inner = histories("codex", open_folder)
    with without_rights(inner):
        stores = source.stores([open_folder])
    shutil.rmtree(inner)  # the store looks again when its turn comes, and root sees everything
    monkeypatch.setattr(type(source), "stores", lambda *_: stores)
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(workspace.root))
    assert run(["ingest", "codex", str(open_folder)]) == 2
    shown = capfd.readouterr().out
    assert "codex: 1 session" in shown
    assert f"Permission denied ({inner})" in shown
    assert [place.where for place in discover.discover().found if place.source == "codex"] == [str(open_folder)]
    assert any(str(inner) in one.what for one in discover.discover().missing)


@pytest.mark.parametrize("name", ["opencode", *HISTORIES])
def test_a_history_of_somebody_else_is_no_machine_without_history(
    name: str, open_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, folder in (("CLAUDE_CONFIG_DIR", ".claude"), ("CODEX_HOME", ".codex"), ("XDG_DATA_HOME", ".share")):
        monkeypatch.setenv(variable, str(open_folder / folder))
    for folder in (".claude/projects", ".codex/sessions", ".share/opencode/storage"):
        (open_folder / folder).mkdir(parents=True)
    registry.source(name)  # imported now: nobody may not be able to
    closed = {"opencode": ".share/opencode", "claude-code": ".claude/projects", "codex": ".codex"}[name]
    with without_rights(open_folder / closed), pytest.raises(SourceError, match="Permission denied"):
        for store in ingest._stores(name, ()):
            store.reading()


@pytest.fixture
def pipes(tmp_path: Path) -> Path:
    """Named pipes under the names of histories, into which nobody writes, and links that go in circles."""
    for name in ("a.jsonl", "rollout-b.jsonl", ".aider.chat.history.md", "opencode.db", "c.parquet"):
        os.mkfifo(tmp_path / name)
    for link, target in (("d.jsonl", "rollout-e.jsonl"), ("rollout-e.jsonl", "d.jsonl"), ("itself", ".")):
        (tmp_path / link).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize("place", ["", "a.jsonl", "rollout-b.jsonl", "d.jsonl", "opencode.db"])
@pytest.mark.parametrize("name", list(SOURCES))
def test_pipes_and_circular_links_are_refused_at_once(name: str, place: str, pipes: Path, workspace: Workspace) -> None:
    with pytest.raises(SourceError):
        ingest.ingest(workspace, name, [pipes / place])


def test_no_source_is_asked_to_read_a_pipe(pipes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "--path", str(pipes / "a.jsonl")]) == 2
    assert "a.jsonl" in capfd.readouterr().err
