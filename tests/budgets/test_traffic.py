"""What the app sends over the wire, at 80×24 on a real pty: bytes, which do not depend on the machine."""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path

import many_examples
import pytest
from pty_harness import DOWN, Terminal, app

import adapter_shelf
from lora_tui.workspace.layout import Workspace

MOVE = 700  # bytes to the terminal for one cursor-down


@pytest.fixture(params=["thousand", "hundred_thousand"])
def workspace_of_any_size(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def _sessions(workspace: Path) -> Terminal:
    terminal = Terminal(app(workspace, "app", "sessions"))
    terminal.until("1 of 1")
    terminal.drain(0.7)
    return terminal


def test_a_cursor_move_costs_the_same_in_a_list_of_any_length(workspace_of_any_size: Path) -> None:
    with _sessions(workspace_of_any_size) as terminal:
        sent = [terminal.press(DOWN) for _ in range(12)]
    assert statistics.median(sent) <= MOVE, sent


@pytest.mark.parametrize("rows", [1_000, 100_000])
def test_a_cursor_move_in_a_version_costs_the_same_at_any_number_of_rows(tmp_path: Path, rows: int) -> None:
    many_examples.version(Workspace(tmp_path / "workspace"), rows)
    with Terminal(app(tmp_path / "workspace", "app", "dataset")) as terminal:
        terminal.until("many@1")
        terminal.drain(0.5)
        terminal.press("\r")
        terminal.until("Request 1:")
        terminal.drain(0.5)
        sent = [terminal.press(DOWN) for _ in range(12)]
    assert statistics.median(sent) <= MOVE, sent


def test_scrolling_costs_no_more_than_one_repaint_in_half_a_page(thousand: Path) -> None:
    with _sessions(thousand) as terminal:
        sent = [terminal.press(DOWN, quiet=0.2) for _ in range(40)]
    assert sum(sent) / len(sent) <= 2 * MOVE, sent
    assert sum(one > MOVE for one in sent) <= 4, sent


@pytest.mark.parametrize("screen", ["home", "sessions"])
def test_an_idle_app_sends_nothing(thousand: Path, screen: str) -> None:
    with Terminal(app(thousand, "app", screen)) as terminal:
        terminal.until("help")
        terminal.drain(1.0)
        assert terminal.drain(quiet=99, limit=3.0) == 0


def test_a_mouse_that_only_moves_sends_nothing(thousand: Path) -> None:
    with _sessions(thousand) as terminal:
        for step in range(80):
            os.write(terminal.master, f"\x1b[<35;{step % 70 + 1};{step % 16 + 3}M".encode())
        assert terminal.drain(quiet=1.5, limit=4.0) == 0


def test_no_colour_means_no_colour_at_all(thousand: Path) -> None:
    with Terminal(app(thousand, "app", "sessions"), environment={"NO_COLOR": "1"}) as terminal:
        terminal.until("1 of 1")
        terminal.press(DOWN)
        output = bytes(terminal.output)
    for introducer in (b"38;2", b"48;2", b"38;5", b"48;5", b"\x1b[31", b"\x1b[32", b"\x1b[36"):
        assert introducer not in output
    assert re.search(rb"\x1b\[7[;m]", output), "the cursor row is reversed"


def test_adapters_sends_two_lines_per_cursor_move_and_nothing_while_it_stands(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.ensure()
    adapter_shelf.fill(workspace)
    with Terminal(app(workspace.root, "app", "adapters")) as terminal:
        terminal.until("rust@1.0.0")
        terminal.drain(1.0)
        assert terminal.drain(quiet=99, limit=3.0) == 0
        sent = [terminal.press(DOWN) for _ in range(5)]
    assert statistics.median(sent) <= MOVE, sent
