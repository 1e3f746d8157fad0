"""One side's answer: how it came out, the text with what matters marked, and every expectation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from lora_tui.jobs.journal import Check
from lora_tui.tui.safe_text import one_line, plain
from lora_tui.tui.screens.verify.answer_lines import answer_lines
from lora_tui.tui.screens.verify.comparison import Reply
from lora_tui.tui.screens.verify.prompt_rows import MARKS
from lora_tui.tui.widgets.conversation_lines import Line
from lora_tui.tui.widgets.live_lines import Line as LiveLine
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.word_diff import word_diff
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.verify.matches import matches

_FEWEST, _MOST = 2, 8  # lines of expectations; between them a quarter of the pane


class Shown(msgspec.Struct, frozen=True):
    """What a pane shows."""

    title: str  # "fine-tune"
    name: str  # who answers, in few words; empty: hidden
    number: int  # of the prompt
    sample: int
    samples: int
    reply: Reply
    beside: str | None = None  # the text it is compared with; None: with none
    sign: str = "+"  # what marks the words that `beside` lacks
    judged: bool = True  # whether marks, figures and expectations may be seen

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Whose answer to what it is; within one place the text stays where it was scrolled to."""
        return self.title, self.name, self.number, self.sample


class AnswerPane(Vertical):
    """Shows an answer; keeps its place while the same one grows."""

    DEFAULT_CSS = """
    AnswerPane {
        height: 1fr; width: 1fr;
        & .heading { padding: 0 1; }
        & .checks { padding: 0 1; }
        & Transcript { height: 1fr; padding: 0; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown: Shown | None = None
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

    def show(self, wanted: Shown) -> None:
        """Show an answer."""
        if wanted == self._shown:
            return
        before, self._shown = self._shown, wanted
        self._heading.show(partial(_head, wanted))
        self._show_checks(wanted)
        same = before is not None and before.place == wanted.place
        self._text.show_lines(partial(_text_lines, wanted), stay=same, growing=not wanted.reply.complete)

    def _show_checks(self, wanted: Shown) -> None:
        most = max(_FEWEST, min(_MOST, self.size.height // 4))
        self._checks.show(partial(_check_lines, wanted.reply if wanted.judged else Reply(), most))

    def on_resize(self, event: events.Resize) -> None:
        """As many expectations as there is room for."""
        if self._shown is not None:
            self._show_checks(self._shown)

    def scroll_text(self, lines: int) -> None:
        """Scroll the answer."""
        self._text.action_line(lines)


def _head(shown: Shown, width: int) -> list[LiveLine]:
    reply = shown.reply
    mark, tone = MARKS[reply.outcome]
    facts = [f"sample {shown.sample + 1} of {shown.samples}"] if shown.samples > 1 else []
    if not shown.judged:
        return [[(shown.title, "strong")]]
    facts.insert(0, reply.outcome)
    if reply.tokens:
        facts += [f"{reply.tokens} tokens", f"{reply.seconds:.1f} s"]
    if reply.cut:
        facts.append("cut at max_tokens")
    if reply.cached:
        facts.append("kept from an earlier run")
    said = (f"  {' · '.join(facts)}  ", "muted")
    return [[(f"{mark} ", tone), (shown.title, "strong"), said, (one_line(shown.name), "")]]


def _text_lines(shown: Shown, width: int, folded: bool) -> Iterator[Line]:
    reply, text = shown.reply, plain(shown.reply.text).rstrip("\n")
    met = []
    if shown.judged and reply.complete:
        met = [(number, span) for number, one in enumerate(reply.checks, 1) for span in matches(one, text).spans]
    other = plain(shown.beside or "").rstrip("\n")
    changed = word_diff(other, text)[1] if other and reply.complete else []
    if text:
        yield from answer_lines(text, width, changed=changed, met=met, sign=shown.sign)
    elif reply.outcome in ("passed", "failed", "not run", "answered"):
        yield [("(an empty answer)", "muted")]
    if reply.error:
        for line in wrap(one_line(reply.error), width):
            yield [(line, "bad")]


def _check_lines(reply: Reply, most: int, width: int) -> list[LiveLine]:
    """A line for each expectation; where there are more than `most`, those that are not met."""
    text = plain(reply.text).rstrip("\n")
    lines = [_check_line(number, item, text) for number, item in enumerate(reply.checks, start=1)]
    if len(lines) > most:
        telling = [line for line, item in zip(lines, reply.checks, strict=True) if not item.passed]
        met, more = len(lines) - len(telling), len(telling[most - 1 :])
        rest = [f"✓ {met} met"] if met else []
        rest += [f"{more} more that are not"] if more else []
        lines = [*telling[: most - 1], [(" · ".join(rest), "muted")]]
    return lines


def _check_line(number: int, item: Check, text: str) -> LiveLine:
    mark, tone = ("–", "muted") if item.not_run else ("✓", "good") if item.passed else ("✗", "bad")
    found = matches(item, text)
    said = [f"not run: {item.not_run}" if item.not_run else item.detail]
    if found.missing:
        said.append("missing: " + ", ".join(map(repr, found.missing)))
    elif found.spans and not item.passed and item.expectation.startswith("not-"):
        said.append("it is there")
    rest: Sequence[str] = [one_line(one) for one in said if one]
    line = [(f"{mark} ", tone), (f"{number} ", "muted"), (one_line(item.expectation), "")]
    return [*line, ("  " + " · ".join(rest), "muted")] if rest else line
