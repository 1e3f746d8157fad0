"""Builds that are killed, stopped, run out of disk, or run two at a time: real processes on one workspace."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lora_tui.curation import examples, labels
from lora_tui.dataset import versions
from lora_tui.dataset.check import troubles
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

SESSIONS = 400


@pytest.fixture
def many(workspace: Workspace) -> Workspace:
    """Accepted examples of some 6 KB, no two alike."""
    draw = random.Random(3)
    for number in range(SESSIONS):
        text = " ".join(f"w{draw.randrange(10**6)}" for _ in range(700))
        told = [user(f"Write part {number}: {text[:900]}"), says(f"```rust\nfn f{number}() {{}}\n```\n{text}")]
        store_session(workspace, f"ses_{number}", told, created=1_790_000_000_000 + number * 1000)
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    return workspace


def build(workspace: Workspace, before: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
    """The program as a person starts it."""
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "dataset", "build", "parts"]
    return subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before, start_new_session=True
    )


def hears_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def nobody_ends_a_build(workspace: Workspace) -> Iterator[None]:
    """What two builds that end at once wait for is taken."""
    lock = os.open(workspace.datasets / ".lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def until(child: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Wait for a moment of a build."""
    while not reached():
        assert child.poll() is None, child.communicate()


def drafts(workspace: Workspace) -> list[Path]:
    return list(workspace.datasets.glob("parts/.draft-*"))


def size(workspace: Workspace, name: str) -> int:
    """Bytes of a draft's file by now; -1 where it is not there."""
    return max((path.stat().st_size for path in workspace.datasets.glob(f"parts/.draft-*/{name}")), default=-1)


def assert_next_build_is_whole(workspace: Workspace) -> None:
    child = build(workspace)
    out, err = child.communicate()
    assert child.returncode == 0, err
    assert json.loads(out)["label"] == "parts@1"
    assert [path.name for path in workspace.datasets.glob("parts/*")] == ["1"]
    built = versions.find(workspace, "parts")
    assert list(troubles(built)) == []
    assert sum(built.manifest.rows.values()) == SESSIONS
    assert sorted(path.name for path in built.folder.iterdir()) == sorted([*built.manifest.files, "manifest.toml"])


@pytest.mark.parametrize(
    ("file", "bytes_"), [("rejected.jsonl", 0), (".rows", 1), (".rows", 400_000), ("leakage.jsonl", 0)]
)
def test_a_build_that_is_killed_leaves_no_version_and_the_next_one_sweeps(
    many: Workspace, file: str, bytes_: int
) -> None:
    child = build(many)
    until(child, lambda: size(many, file) >= bytes_)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert versions.versions(many) == []
    assert drafts(many)
    assert_next_build_is_whole(many)


def test_a_build_that_is_killed_when_all_is_written_leaves_no_version(many: Workspace) -> None:
    child = build(many)
    until(child, lambda: bool(drafts(many)))
    with nobody_ends_a_build(many):
        until(child, lambda: size(many, "members.jsonl") > 0 and size(many, ".rows") < 0)
        child.kill()
        child.communicate()
    (left,) = drafts(many)
    assert (left / "train.jsonl").stat().st_size
    assert versions.versions(many) == []
    assert_next_build_is_whole(many)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_takes_its_draft_along(many: Workspace, stop: signal.Signals) -> None:
    child = build(many, hears_interrupts)
    until(child, lambda: size(many, ".rows") > 0)
    child.send_signal(stop)
    _, err = child.communicate()
    assert child.returncode == (130 if stop == signal.SIGINT else 128 + signal.SIGTERM), err
    assert list(many.datasets.iterdir()) == [many.datasets / ".lock"]
    assert_next_build_is_whole(many)


def test_a_full_disk_is_one_clear_error_and_no_half_version(many: Workspace) -> None:
    child = build(many, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)))
    out, err = child.communicate()
    assert child.returncode == 1
    assert out == b""
    told = [line for line in err.decode().splitlines() if not line.startswith("examples")]
    assert len(told) == 2
    assert told[0].startswith("error: the version cannot be written: File too large")
    assert "build again" in told[1]
    assert list(many.datasets.iterdir()) == [many.datasets / ".lock"]
    assert_next_build_is_whole(many)


def test_two_builds_of_one_name_at_once_become_two_versions(many: Workspace) -> None:
    both = [build(many), build(many)]
    told = [child.communicate() for child in both]
    assert [child.returncode for child in both] == [0, 0], told
    assert sorted(json.loads(out)["label"] for out, _ in told) == ["parts@1", "parts@2"]
    assert sorted(path.name for path in many.datasets.glob("parts/*")) == ["1", "2"]
    for label in ("parts@1", "parts@2"):
        built = versions.find(many, label)
        assert list(troubles(built)) == []
        assert sum(built.manifest.rows.values()) == SESSIONS


def test_a_build_beside_another_one_leaves_its_draft_alone(many: Workspace) -> None:
    slow = build(many)
    until(slow, lambda: size(many, ".rows") > 0)
    slow.send_signal(signal.SIGSTOP)
    (draft,) = drafts(many)
    versions.build(many, "other")
    assert drafts(many) == [draft]
    slow.send_signal(signal.SIGCONT)
    _, err = slow.communicate()
    assert slow.returncode == 0, err
    assert list(troubles(versions.find(many, "parts@1"))) == []
