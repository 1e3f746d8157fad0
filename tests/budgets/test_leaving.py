"""However the app ends, the terminal is the shell's again and no decision is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from pty_harness import Terminal, app

from lora_tui.curation import examples, reading
from lora_tui.curation.examples import Filter
from lora_tui.workspace.layout import Workspace

LEFT_ALTERNATE_SCREEN, MOUSE_OFF = b"\x1b[?1049l", b"\x1b[?1003l"


def _restored(terminal: Terminal) -> bool:
    tail = bytes(terminal.output[-4000:])
    return LEFT_ALTERNATE_SCREEN in tail and MOUSE_OFF in tail


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(thousand: Path, number: signal.Signals) -> None:
    with Terminal(app(thousand)) as terminal:
        terminal.until("help")
        terminal.drain(0.5)
        os.kill(terminal.pid, number)
        assert terminal.wait(5.0)
        assert _restored(terminal)
        assert terminal.status is not None
        assert os.waitstatus_to_exitcode(terminal.status) == 128 + number


def test_a_terminal_that_is_gone_takes_the_app_with_it(thousand: Path) -> None:
    terminal = Terminal(app(thousand))
    terminal.until("help")
    os.close(terminal.master)
    end = time.monotonic() + 6.0
    pid = 0
    while not pid and time.monotonic() < end:
        pid, _ = os.waitpid(terminal.pid, os.WNOHANG)
        time.sleep(0.05)
    if not pid:
        os.kill(terminal.pid, signal.SIGKILL)
    assert pid, "the app went on without a terminal"


@pytest.mark.parametrize("keys", ["q", "\x11", "\x03\x03"])
def test_a_key_leaves_at_once(thousand: Path, keys: str) -> None:
    with Terminal(app(thousand)) as terminal:
        terminal.until("help")
        terminal.drain(0.5)
        terminal.press(keys)
        assert terminal.wait(3.0)
        assert _restored(terminal)
        assert terminal.status == 0


def test_a_decision_made_right_before_leaving_is_kept(tmp_path: Path) -> None:
    import many_examples

    workspace = Workspace(tmp_path / "workspace")
    many_examples.fill(workspace, 50)
    with Terminal(app(workspace.root, "app", "sessions")) as terminal:
        terminal.until("1 of 50")
        os.write(terminal.master, b"aax\x11")
        assert terminal.wait(5.0)
    assert len(examples.ids(workspace, Filter(decision="accept"))) == 2
    assert len(examples.ids(workspace, Filter(decision="reject"))) == 1


def test_the_editor_gets_the_terminal_and_the_original_stays(tmp_path: Path) -> None:
    import many_examples

    workspace = Workspace(tmp_path / "workspace")
    many_examples.fill(workspace, 5)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/message 9/a better answer/' \"$1\"\n")
    editor.chmod(0o755)
    with Terminal(
        app(workspace.root, "app", "sessions"), environment={"EDITOR": str(editor), "VISUAL": ""}
    ) as terminal:
        terminal.until("1 of 5")
        terminal.drain(0.5)
        terminal.press("e")
        terminal.press("\x11")
        assert terminal.wait(5.0)
    edited = examples.ids(workspace, Filter(decision="edited"))
    assert len(edited) == 1
    assert "a better answer" in str(reading.example(workspace, edited[0]).messages)
    stored = workspace.connection().execute("SELECT count(*) FROM message WHERE body LIKE '%better%'").fetchone()[0]
    assert stored == 0


@pytest.mark.parametrize("editor", ["false", "no-such-editor"])
def test_an_editor_that_fails_gives_the_terminal_back(tmp_path: Path, editor: str) -> None:
    import many_examples

    workspace = Workspace(tmp_path / "workspace")
    many_examples.fill(workspace, 5)
    with Terminal(app(workspace.root, "app", "sessions"), environment={"EDITOR": editor, "VISUAL": ""}) as terminal:
        terminal.until("1 of 5")
        terminal.drain(0.5)
        os.write(terminal.master, b"e")
        terminal.until("editor")
        terminal.press("\x1b")
        os.write(terminal.master, b"a")
        terminal.drain(1.0)
        terminal.press("\x11")
        assert terminal.wait(5.0)
    assert len(examples.ids(workspace, Filter(decision="accept"))) == 1
