"""Answers of several sides to one prompt, as many beside each other as fit: one at 80 columns, two, three."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal

from lora_tui.tui.screens.verify.answer_pane import AnswerPane, Shown
from lora_tui.tui.screens.verify.comparison import Prompt
from lora_tui.tui.screens.verify.prompt_rows import TITLES
from lora_tui.tui.wording import endpoint_name
from lora_tui.verify.reports.report import BASELINE, TUNED, Side

_TWO, _THREE = 100, 165  # cells from which so many stand beside each other


class Answers(Horizontal):
    """Shows a prompt's answers, sample by sample, with the words in which two of them differ marked."""

    DEFAULT_CSS = """
    Answers { height: 1fr; }
    Answers AnswerPane { display: none; }
    Answers.-one #pane0, Answers.-two #pane0, Answers.-two #pane1, Answers.-three AnswerPane { display: block; }
    Answers #pane1, Answers #pane2 { border-left: solid $faint; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._panes = [AnswerPane(id=f"pane{number}") for number in range(3)]
        self._comparison = ""  # its id
        self._prompt: Prompt | None = None
        self._sides: Sequence[Side] = ()
        self._turn = 0
        self._sample: int | None = None  # None: the one that tells most
        self._marks = True

    def compose(self) -> ComposeResult:
        """The panes."""
        yield from self._panes

    def show(self, comparison: str, sides: Sequence[Side], prompt: Prompt) -> None:
        """Show a prompt of a comparison; another one than before begins with the sample that tells most."""
        if self._prompt is None or (comparison, prompt.number) != (self._comparison, self._prompt.number):
            self._sample = None
        self._comparison, self._prompt, self._sides = comparison, prompt, sides
        self._draw()

    def turn(self) -> None:
        """On to the next side."""
        self._turn += 1
        self._draw()

    def step(self, by: int) -> None:
        """To another sample; after the last comes the first."""
        if self._prompt is not None and self._prompt.samples > 1:
            self._sample = (self._at() + by) % self._prompt.samples
            self._draw()

    def mark(self) -> None:
        """Mark the words that differ, or do not."""
        self._marks = not self._marks
        self._draw()

    def scroll_text(self, lines: int) -> None:
        """Scroll all of them."""
        for pane in self._panes:
            pane.scroll_text(lines)

    def on_resize(self, event: events.Resize) -> None:
        """As many as fit."""
        self._draw()

    def _at(self) -> int:
        assert self._prompt is not None
        return self._prompt.telling if self._sample is None else min(self._sample, self._prompt.samples - 1)

    def _draw(self) -> None:
        if self._prompt is None or not self.size.width:
            return
        shown = visible([side.label for side in self._sides], self.size.width, self._turn)
        self.set_class(len(shown) == 1, "-one")
        self.set_class(len(shown) == 2, "-two")
        self.set_class(len(shown) == 3, "-three")
        for pane, label in zip(self._panes, shown, strict=False):
            pane.show(self._of(label, shown))

    def _of(self, label: str, shown: Sequence[str]) -> Shown:
        assert self._prompt is not None
        prompt, sample = self._prompt, self._at()
        against = next((one for one in (*shown, TUNED) if one != BASELINE), TUNED) if label == BASELINE else BASELINE
        other = prompt.reply(against, sample)
        side = next(one for one in self._sides if one.label == label)
        return Shown(
            title=TITLES.get(label, label),
            name=endpoint_name(side.endpoint),
            number=prompt.number,
            sample=sample,
            samples=prompt.samples,
            reply=prompt.reply(label, sample),
            beside=other.text if self._marks and other.complete and not other.error else None,
            sign="-" if label == BASELINE else "+",
        )


def visible(labels: Sequence[str], width: int, turn: int) -> list[str]:
    """The sides that `width` cells show: the fine-tune first where there is room for one, else beside the baseline."""
    room = 3 if width >= _THREE else 2 if width >= _TWO else 1
    others = [label for label in labels if label != BASELINE]
    if room == 1:
        order = [*others[:1], BASELINE, *others[1:]]
        return [order[turn % len(order)]]
    start = turn % len(others)
    return [BASELINE, *(others[start:] + others[:start])[: room - 1]]
