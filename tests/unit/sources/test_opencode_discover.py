"""Where opencode's sessions are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.sources.opencode.discover import places
from lora_tui.workspace.errors import SourceError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "opencode"
    (folder / "storage" / "session").mkdir(parents=True)
    for name in ("opencode.db", "opencode-dev.db", "opencode.db-wal", "opencode.db-shm", "other.db", "auth.json"):
        (folder / name).touch()
    return folder


def test_every_channel_and_the_json_folder_are_found(data: Path) -> None:
    databases, storages = places([], {"XDG_DATA_HOME": str(data.parent)})
    assert [path.name for path in databases] == ["opencode-dev.db", "opencode.db"]
    assert storages == [data / "storage"]


def test_the_database_that_opencode_was_told_to_use_comes_first(data: Path) -> None:
    databases, _ = places([], {"XDG_DATA_HOME": str(data.parent), "OPENCODE_DB": "opencode.db"})
    assert [path.name for path in databases] == ["opencode.db", "opencode-dev.db"]


def test_a_data_folder_a_storage_folder_and_a_file_can_be_named(data: Path) -> None:
    assert places([data])[1] == [data / "storage"]
    assert places([data / "storage"]) == ([], [data / "storage"])
    assert places([data / "other.db", data / "other.db"]) == ([data / "other.db"], [])


def test_a_folder_without_sessions_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no opencode sessions") as caught:
        places([tmp_path])
    assert caught.value.where == str(tmp_path)


def test_a_machine_without_opencode_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no sessions on this machine"):
        places([], {"XDG_DATA_HOME": str(tmp_path)})
