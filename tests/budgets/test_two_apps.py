"""What a killed app loses, and what two apps do to one workspace: nothing. Real processes under real terminals."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import many_examples
import pytest
from pty_harness import Terminal, app

from lora_tui.curation import examples, labels, queues
from lora_tui.curation.examples import Filter
from lora_tui.workspace.layout import Workspace

NUMBER = 200


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace")
    many_examples.fill(made, NUMBER)
    return made


def _sound(workspace: Workspace) -> bool:
    with sqlite3.connect(workspace.database) as connection:
        return bool(
            connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            and not connection.execute("PRAGMA foreign_key_check").fetchall()
        )


@pytest.mark.parametrize("keys", [1, 7, 23])
def test_a_killed_app_loses_at_most_the_key_in_flight(workspace: Workspace, keys: int) -> None:
    with Terminal(app(workspace.root, "app", "sessions")) as terminal:
        terminal.until(f"1 of {NUMBER}")
        for number in range(keys):
            os.write(terminal.master, b"a")
            terminal.until(f"{number + 2} of {NUMBER}")
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.wait(5.0)
    assert keys - 1 <= len(examples.ids(workspace, Filter(decision="accept"))) <= keys
    assert _sound(workspace)


def test_a_queue_goes_on_after_a_kill_where_it_was(workspace: Workspace) -> None:
    queue = queues.create(workspace, "evening", author="someone")
    environment = {"USER": "someone", "LOGNAME": "someone"}
    with Terminal(app(workspace.root, "app", "sessions"), environment=environment) as terminal:
        terminal.until(f"1 of {NUMBER}")
        terminal.press("Q")
        terminal.press("\r")
        terminal.until(f"{NUMBER} left of {NUMBER}")
        for number in range(5):
            os.write(terminal.master, b"x")
            terminal.until(f"{NUMBER - number - 1} left")
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.wait(5.0)
    assert queues.next_position(workspace, queue) in (4, 5)
    assert len(examples.ids(workspace, Filter(decision="reject"))) == queues.next_position(workspace, queue)


def test_two_apps_on_one_workspace_keep_every_decision(workspace: Workspace) -> None:
    everyone = {name: {"USER": name, "LOGNAME": name} for name in ("anna", "ben")}
    with (
        Terminal(app(workspace.root, "app", "sessions"), environment=everyone["anna"]) as anna,
        Terminal(app(workspace.root, "app", "sessions"), environment=everyone["ben"]) as ben,
    ):
        anna.until(f"1 of {NUMBER}")
        ben.until(f"1 of {NUMBER}")
        for number in range(25):
            os.write(anna.master, b"a")
            os.write(ben.master, b"x")
            anna.until(f"{number + 2} of {NUMBER}")
            ben.until(f"{number + 2} of {NUMBER}")
        anna.press("uuuuu")
        for terminal in (anna, ben):
            terminal.press("\x11")
            assert terminal.wait(5.0)
            assert terminal.status == 0
    assert _sound(workspace)
    history = [label for identity in examples.ids(workspace)[:25] for label in labels.history(workspace, identity)]
    assert sum(label.author == "anna" and label.action == "accept" for label in history) == 25
    assert sum(label.author == "anna" and label.undone for label in history) == 5
    assert sum(label.author == "ben" and label.action == "reject" for label in history) == 25
    undone = [row.decision for row in examples.rows(workspace, examples.ids(workspace)[20:25])]
    assert undone == ["reject"] * 5  # what anna took back leaves ben's word standing
