"""What the app costs: `python benchmarks/app.py [EXAMPLES]`. CPU against the smallest Textual app, bytes per key.

Everything runs under a real pty in one go, so the ratios hold on any machine; the limits are those of tests/budgets.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "budgets"))

import many_examples
from pty_harness import DOWN, PAGE_DOWN, Terminal, app, cpu_ratio

from lora_tui.workspace.layout import Workspace

SMALLEST = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    def compose(self):
        yield Static("help")
Smallest().run()
"""


def main(examples: int) -> None:
    """Print one line per budget."""
    with tempfile.TemporaryDirectory() as folder:
        roots = {}
        for number in (1_000, examples):
            begun = time.monotonic()
            roots[number] = Path(folder) / str(number)
            workspace = Workspace(roots[number])
            many_examples.fill(workspace, number)
            workspace.close()
            print(f"# workspace with {number:,} examples in {time.monotonic() - begun:.1f} s")
        for arguments in (["--version"], ["--help"], ["completion", "bash"]):
            ratio = cpu_ratio([sys.executable, "-m", "lora_tui", *arguments], [sys.executable, "-c", "pass"])
            _line(f"lora-tui {' '.join(arguments)}", f"{ratio:.1f}× the CPU of `python -c pass`", "≤ 8×")
        pairs = [(_first_frame([sys.executable, "-c", SMALLEST]), _first_frame(app(roots[examples]))) for _ in range(5)]
        smallest, ours = (statistics.median(found) for found in zip(*pairs, strict=True))
        _line("first frame", f"{ours:.2f} CPU s, {ours / smallest:.2f}× the smallest Textual app", "≤ 2×")
        for columns, rows in ((80, 24), (160, 50)):
            for number, root in roots.items():
                _keys(root, number, columns, rows)


def _first_frame(command: list[str]) -> float:
    with Terminal(command) as terminal:
        terminal.until("help")
        return terminal.cpu()


def _keys(root: Path, number: int, columns: int, rows: int) -> None:
    with Terminal(app(root, "app", "sessions"), columns=columns, rows=rows) as terminal:
        terminal.until("1 of 1")
        terminal.drain(0.8)
        shown = terminal.cpu()
        moves = statistics.median(terminal.press(DOWN) for _ in range(8))
        cost = (terminal.cpu() - shown) / 8 * 1000
        page = terminal.press(PAGE_DOWN)
        end = terminal.press("G")
        decision = terminal.press("a")
        idle = terminal.drain(quiet=99, limit=3.0) / 3
    size = f"{columns}×{rows}, {number:,} rows"
    limit = "≤ 700 B" if columns == 80 else ""
    _line(f"{size}: shown and settled", f"{shown:.2f} CPU s", "")
    _line(f"{size}: cursor-down", f"{moves:.0f} B, {cost:.0f} ms CPU", limit)
    _line(f"{size}: page-down / end / accept", f"{page} / {end} / {decision} B", "")
    _line(f"{size}: idle", f"{idle:.0f} B/s", "0")


def _line(what: str, found: str, limit: str) -> None:
    print(f"{what:<46} {found:<46} {limit}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
