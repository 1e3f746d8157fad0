"""Two that label at once, and one that is killed: with real processes on one workspace."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lora_tui.curation import examples, labels, queues
from lora_tui.curation.filters import Filter
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

# Answers its author's queue, one question after the other, and says each answer once it is written.
ANSWERS = """
import sys
from pathlib import Path
from lora_tui.curation import labels, queues
from lora_tui.workspace.layout import Workspace

workspace, author, undo_every = Workspace(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
queue = queues.open(workspace, "q", author)
position, answered = queues.next_position(workspace, queue), 0
while position is not None:
    batch = queues.decide(workspace, queue, position, "accept", seconds=1.0)
    print(position, batch, flush=True)
    answered += 1
    if undo_every and answered % undo_every == 0:
        labels.undo(workspace, author)
        queues.decide(workspace, queue, position, "reject")
    position = queues.next_position(workspace, queue, position)
"""

READS = """
import sys
from pathlib import Path
from lora_tui.curation import examples
from lora_tui.workspace.layout import Workspace
sys.path.insert(0, sys.argv[2])
from stories import says, store_session, user

workspace = Workspace(Path(sys.argv[1]))
for number in range(1000, 1040):
    store_session(workspace, f"ses_{number}", [user(f"Please do task number {number} now"), says(f"Did {number}.")])
    examples.refresh(workspace)
"""

UNLABELLED = Filter(decision="unlabelled")


@pytest.fixture
def many(workspace: Workspace) -> Workspace:
    for place in range(30):
        told = [
            message
            for turn in range(10)
            for message in (user(f"Please do task {turn} of session {place}"), says(f"Did {turn} of {place}."))
        ]
        store_session(workspace, f"ses_{place}", told)
    examples.refresh(workspace)
    return workspace


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)


def sound(workspace: Workspace) -> bool:
    connection = workspace.connection()
    whole = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    return whole and not connection.execute("PRAGMA foreign_key_check").fetchall()


def test_two_people_and_an_ingest_at_once_lose_nothing(many: Workspace) -> None:
    for author in ("ana", "ben"):
        queues.create(many, "q", UNLABELLED, author=author, order="random")
    root = str(many.root)
    running = [
        start(ANSWERS, root, "ana", "7"),
        start(ANSWERS, root, "ben", "0"),
        start(READS, root, str(Path(__file__).parents[1])),
    ]
    told = [process.communicate(timeout=120)[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sound(many)
    assert len(told[0]) == len(told[1]) == 300
    for author in ("ana", "ben"):
        queue = queues.open(many, "q", author)
        assert (queue.done, queue.left) == (300, 0)
    assert len(examples.ids(many, UNLABELLED)) == 40
    ana = [
        label
        for identity in queues.ids(many, queues.open(many, "q", "ana"))
        for label in labels.history(many, identity)
    ]
    assert sum(label.author == "ben" and label.action == "accept" for label in ana) == 300
    assert sum(label.author == "ana" and label.action == "reject" for label in ana) == 300 // 7


@pytest.mark.parametrize("after", [1, 40, 120])
def test_killed_at_any_moment_it_loses_the_answer_in_flight_at_most(many: Workspace, after: int) -> None:
    queue = queues.create(many, "q", UNLABELLED, author="ana")
    process = start(ANSWERS, str(many.root), "ana", "0")
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(after)]
    time.sleep(0.003 * (after % 7))  # somewhere within the next answers
    process.kill()
    told += process.stdout.readlines()
    process.wait()
    said = {int(line.split()[0]) for line in told if line.endswith("\n")}
    assert sound(many)
    done = {item.position for item in queues.items(many, queue) if item.done}
    assert said <= done
    assert len(done - said) <= 1
    decided = {identity for identity in queues.ids(many, queue) if labels.history(many, identity)}
    assert decided == {item.example_id for item in queues.items(many, queue) if item.done}
    assert len(examples.ids(many, Filter(decision="accept"))) == len(done)
    assert queues.next_position(many, queue) == len(done)  # and goes on from there
    undone = labels.undo(many, "ana")
    assert undone is not None
    assert undone.positions == [(queue.id, len(done) - 1)]
