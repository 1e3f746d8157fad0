"""`examples export` and `examples import` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lora_tui.curation.refresh import refresh
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user


def lora_tui(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    """Two sessions, of which one is accepted."""
    for number in (1, 2):
        store_session(workspace, f"ses_{number}", [user(f"Explain thing number {number}."), says("It is a thing.")])
    refresh(workspace)
    lora_tui(workspace, "label", "1", "--accept")
    return workspace


def test_what_passes_the_filter_is_written_and_can_be_taken_in_elsewhere(full: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "out" / "accepted.jsonl"
    done = lora_tui(full, "examples", "export", str(file), "--decision", "accept", "--json")
    assert json.loads(done.stdout) == {"file": str(file), "examples": 1, "kept_back": 0}
    (line,) = file.read_text().splitlines()
    row = json.loads(line)
    assert {"id", "key", "source", "session", "native_id", "request", "language", "decision", "tags", "note"} < set(row)
    assert row["messages"][1] == {"role": "assistant", "content": "It is a thing."}
    other = Workspace(tmp_path / "other")
    done = lora_tui(other, "examples", "import", str(file), "--dry-run")
    assert "would read 1 rows: 0 unchanged, 1 new sessions; labels: 1 accept" in done.stdout
    done = lora_tui(other, "examples", "import", str(file), "--by", "bob", "--json")
    assert json.loads(done.stdout)["sessions"] == 1
    assert json.loads(lora_tui(other, "examples", "list", "--json").stdout)["examples"][0]["decision"] == "accept"


def test_standard_output_holds_the_rows_alone(full: Workspace) -> None:
    done = lora_tui(full, "examples", "export", "-")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert "2 examples written" in done.stderr
    assert lora_tui(full, "examples", "export", "-", "--json").returncode == 2


def test_a_file_that_cannot_be_written_stays_as_it_was_and_wrong_rows_are_exit_2(
    full: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    assert lora_tui(full, "examples", "export", str(tmp_path / "folder.jsonl")).returncode == 2
    done = lora_tui(full, "examples", "import", str(tmp_path / "nothing.jsonl"))
    assert (done.returncode, "there is no such file" in done.stderr) == (2, True)
    (tmp_path / "wrong.jsonl").write_text("{}\n")
    done = lora_tui(full, "examples", "import", str(tmp_path / "wrong.jsonl"))
    assert done.returncode == 2
    assert "row 1: not a row of `examples export`" in done.stdout
