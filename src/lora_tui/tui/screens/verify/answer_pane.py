"""One side's answer: how it came out, the text, and every expectation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

from textual.app import ComposeResult
from textual.containers import Vertical

from lora_tui.sources.model import Message
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.verify.comparison import Side
from lora_tui.tui.screens.verify.prompt_rows import MARKS
from lora_tui.tui.widgets.conversation_lines import Line, conversation
from lora_tui.tui.widgets.live_lines import Line as LiveLine
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import endpoint_name

_EXPECTATIONS = 5  # lines


class AnswerPane(Vertical):
    """Shows a Side; keeps its place while nothing changes."""

    DEFAULT_CSS = """
    AnswerPane {
        height: 1fr;
        & .heading { padding: 0 1; }
        & .checks { padding: 0 1; }
        & Transcript { height: 1fr; }
    }
    """

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id)
        self._title = title
        self._shown: tuple[str, int, Side] | None = None
        self._heading = LiveLines()
        self._text = Transcript()
        self._text.can_focus = False
        self._checks = LiveLines()
        self._heading.add_class("heading")
        self._checks.add_class("checks")

    def compose(self) -> ComposeResult:
        """Heading, text, expectations."""
        yield self._heading
        yield self._text
        yield self._checks

    def show(self, endpoint: str, number: int, side: Side) -> None:
        """Show the answer of `endpoint` to prompt `number`."""
        wanted = (endpoint, number, side)
        if wanted == self._shown:
            return
        before, self._shown = self._shown, wanted
        self._heading.show(partial(self._head, endpoint, side))
        self._checks.show(partial(_check_lines, side))
        if before is None or before[1] != number or (before[2].text, before[2].error) != (side.text, side.error):
            self._text.show_lines(partial(_answer_lines, side))

    def scroll_text(self, lines: int) -> None:
        """Scroll the answer."""
        self._text.action_line(lines)

    def _head(self, endpoint: str, side: Side, width: int) -> list[LiveLine]:
        mark, tone = MARKS[side.outcome]
        facts: list[str] = [side.outcome]
        if side.tokens:
            facts += [f"{side.tokens} tokens", f"{side.seconds:.1f} s"]
        if side.cut:
            facts.append("cut at max_tokens")
        head = [(f"{mark} ", tone or ""), (self._title, "strong"), (f"  {one_line(endpoint_name(endpoint))}", "")]
        return [[*head, ("  " + " · ".join(facts), "muted")]]


def _answer_lines(side: Side, width: int, folded: bool) -> Iterator[Line]:
    if side.text:
        answer = [Message(role="assistant", content=side.text)]
        yield from islice(conversation(answer, width, folded=folded), 1, None)  # without the speaker's line
    elif side.outcome in ("passed", "failed"):
        yield [("(an empty answer)", "muted")]
    if side.error:
        for line in wrap(one_line(side.error), width):
            yield [(line, "bad")]


def _check_lines(side: Side, width: int) -> list[LiveLine]:
    lines: list[LiveLine] = [
        [("✓ " if item.passed else "✗ ", "good" if item.passed else "bad"), (one_line(item.expectation), "")]
        for item in side.checks
    ]
    if len(lines) > _EXPECTATIONS:
        failing = [line for line, item in zip(lines, side.checks, strict=True) if not item.passed]
        rest = len(lines) - len(failing[: _EXPECTATIONS - 1])
        lines = [*failing[: _EXPECTATIONS - 1], [(f"and {rest} more expectations", "muted")]]
    return lines
