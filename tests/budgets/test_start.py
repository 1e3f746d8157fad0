"""What starting costs: CPU against a bare interpreter and against the smallest Textual app, side by side."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from pty_harness import Terminal, app, cpu_ratio

_SMALLEST = """
from textual.app import App
from textual.widgets import Static

class Smallest(App[None]):
    def compose(self):
        yield Static("help")

Smallest().run()
"""

_MODULES = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "bash"]])
def test_answers_without_the_app_or_the_engine_cost_little_more_than_python(arguments: list[str]) -> None:
    ratio = cpu_ratio([sys.executable, "-m", "lora_tui", *arguments], [sys.executable, "-c", "pass"])
    assert ratio <= 8, f"{ratio:.1f}× of `python -c pass`"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "bash"]])
def test_answers_without_the_app_import_neither_textual_nor_torch(arguments: list[str]) -> None:
    code = f"""
import sys
from lora_tui.cli.main import run
try:
    run({arguments!r})
finally:
    {_MODULES}
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"textual", "torch", "transformers"} & set(found.stderr.split())
    assert found.stdout


def test_the_first_frame_costs_at_most_twice_the_smallest_textual_app(hundred_thousand: Path) -> None:
    def first_frame(command: list[str]) -> float:
        with Terminal(command) as terminal:
            terminal.until("help")
            return terminal.cpu()

    pairs = [(first_frame([sys.executable, "-c", _SMALLEST]), first_frame(app(hundred_thousand))) for _ in range(5)]
    smallest, ours = (statistics.median(found) for found in zip(*pairs, strict=True))
    assert ours <= 2 * smallest, f"{ours / smallest:.2f}×"


def test_the_running_app_has_no_engine_in_it(thousand: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace
import asyncio

async def main():
    app = LoraTuiApp(Workspace(Path({str(thousand)!r})))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("f2", "f3", "f4", "f5", "f7", "f12"):
            await pilot.press(key)
            await pilot.pause(0.1)

asyncio.run(main())
{_MODULES}
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    modules = set(found.stderr.split())
    assert "textual" in modules
    assert not {"torch", "transformers", "trl", "peft", "datasets", "accelerate"} & modules
