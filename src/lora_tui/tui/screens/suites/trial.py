"""An answer that somebody types, and at once what every expectation of a prompt says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import TextArea

from lora_tui.jobs.checks import verdict
from lora_tui.jobs.journal import Check
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.screens.suites import field
from lora_tui.tui.widgets.live_lines import Line, LiveLines

_ROWS = 9  # expectations shown


class TryDialog(Dialog[str]):
    """Results in the answer, for the next time; None never: what was typed is kept."""

    BINDINGS = bindings("trial")
    DEFAULT_CSS = f"TryDialog {{ {field.CSS} #checks {{ margin-top: 1; }} }}"

    class Ran(Message):
        """The code was run."""

        def __init__(self, answer: str, checks: list[Check]) -> None:
            super().__init__()
            self.answer = answer
            self.checks = checks

    def __init__(
        self, title: str, answer: str, threshold: float | None, check: Callable[[str, bool], list[Check]]
    ) -> None:
        """`check(answer, run)` makes the checks; with `run` it may take as long as the code does."""
        super().__init__()
        self._title, self._answer, self._threshold, self._check = title, answer, threshold, check
        self._at_work = False

    def compose(self) -> ComposeResult:
        """The answer over the checks."""
        with Vertical(classes="dialog") as box:
            yield from field.lines("answer", "an answer", self._answer, 7)
            yield LiveLines(id="checks")
        box.border_title = self._title
        box.border_subtitle = "ctrl+r run its code · esc close"

    def on_mount(self) -> None:
        """Begin with what was typed last."""
        self.query_one("#answer", TextArea).focus()
        self._show(self._check(self._answer, False))

    @property
    def _text(self) -> str:
        return self.query_one("#answer", TextArea).text

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """Check it at once."""
        self._show(self._check(self._text, False))

    def action_run(self) -> None:
        """Run its code too."""
        if not self._at_work:
            self._at_work = True
            self.query_one("#checks", LiveLines).show(lambda width: [[("running its code …", "muted")]])
            self._run_code(self._text)

    @work(thread=True, exit_on_error=False)
    def _run_code(self, answer: str) -> None:
        found: list[Check] = []
        try:
            found = self._check(answer, True)
        finally:
            self.post_message(self.Ran(answer, found))

    def on_try_dialog_ran(self, message: Ran) -> None:
        """Show it, unless another answer stands there by now."""
        self._at_work = False
        same = message.answer == self._text
        self._show(message.checks if same else self._check(self._text, False))

    def _show(self, checks: Sequence[Check]) -> None:
        def draw(width: int) -> list[Line]:
            found: list[Line] = [_line(item, width) for item in checks[:_ROWS]]
            if len(checks) > _ROWS:
                found.append([(f"and {len(checks) - _ROWS} more", "muted")])
            said = verdict(checks, self._threshold)
            tone = {"passed": "good", "failed": "bad"}.get(said, "muted")
            return [*found, [("together: ", "muted"), (said if checks else "nothing is expected", tone)]]

        self.query_one("#checks", LiveLines).show(draw)

    def action_close(self) -> None:
        """Close; the answer is kept."""
        self.dismiss(self._text)


def _line(item: Check, width: int) -> Line:
    mark, tone = ("·", "muted") if item.not_run else ("✓", "good") if item.passed else ("✗", "bad")
    why = item.not_run or item.detail
    said = one_line(f"{item.expectation}{f': {why}' if why else ''}")
    return [(f"{mark} ", tone), (said[: max(0, width - 2)], "muted" if item.not_run else "")]
