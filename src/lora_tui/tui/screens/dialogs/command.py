"""A command of ours at work in its own process: its words in a window. Closing the window does not stop it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.widgets.log_tail import LogTail, last_lines
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_PERIOD = 0.5  # seconds between looks


class CommandDialog(Dialog[bool]):
    """Runs `lora-tui ARGUMENTS` detached, its output in <workspace>/logs/NAME.log; results in whether it succeeded."""

    DEFAULT_CSS = """
    CommandDialog {
        .dialog { width: 90%; height: 80%; }
        #state { height: 1; color: $muted; text-style: $muted-style; }
    }
    """

    def __init__(self, title: str, name: str, arguments: Sequence[str], workspace: Workspace) -> None:
        super().__init__()
        self._title = title
        self._arguments = list(arguments)
        self._workspace = workspace
        self._log = workspace.logs / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def text(self) -> str:
        """The last lines."""
        return "\n".join(last_lines(self._log))

    def compose(self) -> ComposeResult:
        """The end of its output, and how it stands."""
        with Vertical(classes="dialog") as box:
            yield LogTail()
            yield Static("at work; it goes on when you close this", id="state", markup=False)
        box.border_title = self._title
        box.border_subtitle = "c copy · esc close"

    def on_mount(self) -> None:
        """Start it, and look now and then."""
        self._process = _start(self._arguments, self._workspace, self._log)
        self._timer = self.set_interval(_PERIOD, self._look)

    def _look(self) -> None:
        code = self._process.poll() if self._process is not None else 1
        self.query_one(LogTail).show_file(self._log)
        if code is not None:
            self._timer.stop()
            word = "done" if code == 0 else f"ended with code {code}; {self._log} has it all"
            self.query_one("#state", Static).update(word)

    def action_close(self) -> None:
        """Close; the command goes on."""
        self.dismiss(self._process is not None and self._process.poll() == 0)


def _start(arguments: Sequence[str], workspace: Workspace, log: Path) -> subprocess.Popen[bytes]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
    except OSError as error:
        raise LoraTuiError(f"the command cannot be started: {error.strerror}", where=str(log)) from error
