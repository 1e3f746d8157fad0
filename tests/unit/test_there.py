"""What is done on another machine by its own Python: started once, seen as it is, ended whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_tui.backends.rented import there
from ssh_servers import until


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    there.kill(str(tmp_path))


def _launch(folder: str, attempt: int, script: str) -> bool:
    return there.launch(folder, attempt, ["sh", "-c", script], "out.log", "err.log", {"MINE": "given"})


def _ended(folder: str) -> dict[str, object]:
    until(lambda: there.status(folder)["state"] != "running", 10)
    return there.status(folder)


def test_a_start_that_is_asked_for_twice_happens_once(folder: str) -> None:
    assert there.status(folder) == {"attempt": 0, "state": "none", "code": 0}
    assert _launch(folder, 1, "echo $MINE; exit 3")
    assert not _launch(folder, 1, "echo $MINE; exit 3")
    assert _ended(folder) == {"attempt": 1, "state": "ended", "code": 3}
    assert (Path(folder) / "out.log").read_text() == "given\n"
    assert _launch(folder, 2, "true")
    assert _ended(folder) == {"attempt": 2, "state": "ended", "code": 0}


def test_ending_a_job_ends_its_children_too(folder: str) -> None:
    _launch(folder, 1, "sleep 1000 & sleep 1000 & wait")
    until(lambda: (Path(folder) / there.ATTEMPTS / "1" / "pid").exists(), 10)
    leader = int((Path(folder) / there.ATTEMPTS / "1" / "pid").read_text().split()[0])
    until(lambda: len(there._group(leader)) >= 4, 10)
    assert there.kill(folder) == 0
    assert there._group(leader) == []
    assert there.status(folder)["state"] == "lost"


def test_a_process_that_only_waits_to_be_reaped_does_not_live(folder: str) -> None:
    place = Path(folder) / there.ATTEMPTS / "1"
    place.mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    until(lambda: (there._stat(str(child.pid)) or ["?"])[0] == "Z", 10)
    began = (there._stat(str(child.pid)) or [])[19]
    (place / "pid").write_text(f"{child.pid} {began}\n")
    assert there.status(folder)["state"] == "lost"
    child.wait()


def test_a_number_that_another_process_has_now_is_not_the_job(folder: str) -> None:
    place = Path(folder) / there.ATTEMPTS / "1"
    place.mkdir(parents=True)
    (place / "pid").write_text(f"{os.getpid()} 12345\n")
    assert there.status(folder)["state"] == "lost"
    assert there.kill(folder) == 0  # and this test lives on


def test_a_job_that_was_just_asked_for_is_not_lost(folder: str) -> None:
    place = Path(folder) / there.ATTEMPTS / "1"
    place.mkdir(parents=True)
    assert there.status(folder)["state"] == "running"
    old = time.time() - 100
    os.utime(place, (old, old))
    assert there.status(folder)["state"] == "lost"


def test_what_arrived_otherwise_never_appears_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "good.part").write_bytes(b"good")
    (tmp_path / "bad.part").write_bytes(b"b?d")
    digest = {name: there._sha256(str(tmp_path / f"{name}.part")) for name in ("good", "bad")}
    files = [("good", "good.part", digest["good"]), ("bad", "bad.part", "0" * 64)]
    assert there.accept(str(tmp_path), files) == ["bad"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.part"]
    (tmp_path / "bad.part").write_bytes(b"bad")
    files[1] = ("bad", "bad.part", there._sha256(str(tmp_path / "bad.part")))
    assert there.accept(str(tmp_path), files) == []
    assert there.accept(str(tmp_path), files) == []  # asked again: the answer was lost
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "good"]
    assert there.differing(str(tmp_path), [("good", 4, digest["good"]), ("new/one", 1, "0")]) == ["new/one"]
