"""Starting the app: the terminal is prepared first, then Textual is imported."""

from __future__ import annotations

import os
import sys

from lora_tui.tui import terminal
from lora_tui.workspace.layout import Workspace


def run(workspace: Workspace, *, start: str = "home", mouse: bool = True) -> None:
    """Run the app until the person leaves it. Raises BadInput for an unknown screen, keymap or theme setting."""
    terminal.prepare(os.environ)
    from lora_tui.tui.app import LoraTuiApp

    app = LoraTuiApp(workspace, start)
    log = workspace.logs / "lora-tui.log"
    with terminal.own_screen(log):
        app.run(mouse=mouse)
    if app.last_words or app.return_code == 1:
        print(app.last_words or f"error: the app ended with an error; see {log}", file=sys.stderr)
    if app.return_code:
        raise SystemExit(app.return_code)
