"""What a merge is made of: a weight for each adapter, a strategy and its settings, a name; as fields to fill."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from lora_tui.jobs.merging import Recipe
from lora_tui.tui.safe_text import plain
from lora_tui.tui.widgets.choice_line import ChoiceLine
from lora_tui.workspace.errors import BadInput

STRATEGIES = (
    ("average", "all alike"),
    ("weighted", "Σ w·ΔW / Σ w"),
    ("slerp", "two, along the arc"),
    ("task-arithmetic", "λ·Σ w·ΔW, w of any sign"),
    ("ties", "trim, elect signs, mean"),
    ("dare", "drop at random, rescale, sum"),
    ("cat", "Σ w·ΔW exactly, at the rank of all together"),
)
_SPACES = (("core", "in small shared bases"), ("delta", "on ΔW as in the paper; slow"))
_USES = {
    "average": ("rank",),
    "weighted": ("weights", "rank"),
    "slerp": ("t", "rank"),
    "task-arithmetic": ("weights", "scaling", "rank"),
    "ties": ("weights", "density", "scaling", "space", "rank"),
    "dare": ("weights", "density", "scaling", "seed", "space", "rank"),
    "cat": ("weights",),
}
_FIELDS = (
    ("t", "t", "0.5", "0 is the first, 1 the second"),
    ("density", "density", "", "share of entries that is kept: ties 0.2, dare 0.5"),
    ("scaling", "lambda", "1", "a factor of the sum"),
    ("seed", "seed", "0", "what dare's masks are drawn by"),
    ("rank", "rank", "", "as the largest of them; the plan says what others lose"),
)


class MergeForm(VerticalScroll):
    """The fields. Posts Changed for every change and Submitted for enter; `recipe` and `name` read them."""

    DEFAULT_CSS = """
    MergeForm {
        height: auto; padding: 0 1;
        .field { height: 1; }
        .label { width: 26; color: $muted; text-style: $muted-style; }
        Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    }
    """

    class Changed(Message):
        """Something is written differently now."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(can_focus=False)
        self._labels = labels

    def compose(self) -> ComposeResult:
        """Strategy, weights, settings, name."""
        yield from self._row("strategy", ChoiceLine(STRATEGIES, id="strategy"), "")
        for number, label in enumerate(self._labels):
            yield from self._row(label, Input("1", compact=True, id=f"weight-{number}"), "weights")
        for key, name, value, hint in _FIELDS:
            yield from self._row(name, Input(value, placeholder=hint, compact=True, id=key), key)
        yield from self._row("space", ChoiceLine(_SPACES, id="space"), "space")
        yield from self._row("name", Input(proposed_name(self._labels), compact=True, id="name"), "")

    def _row(self, name: str, field: Input | ChoiceLine, use: str) -> ComposeResult:
        if isinstance(field, Input):
            field.cursor_blink = False
            field.select_on_focus = True
        with Horizontal(classes=f"field use-{use}" if use else "field"):
            yield Static(Content(plain(name)), classes="label")
            yield field

    def on_mount(self) -> None:
        """Begin with the strategy."""
        strategy = self.query_one("#strategy", ChoiceLine)
        strategy.focus()
        self.watch(strategy, "place", self._show_used)

    def on_choice_line_changed(self, message: ChoiceLine.Changed) -> None:
        """Other settings count now."""
        message.stop()
        self.post_message(self.Changed())

    def on_input_changed(self, message: Input.Changed) -> None:
        """A setting is another."""
        message.stop()
        self.post_message(self.Changed())

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter goes to the next field."""
        message.stop()
        self.screen.focus_next()

    def _show_used(self) -> None:
        """Only the fields that the strategy has; at once, so that the next tab goes to the right one."""
        used = _USES[self._strategy]
        for use in ("weights", "space", *(key for key, _, _, _ in _FIELDS)):
            for row in self.query(f".use-{use}"):
                row.display = use in used

    @property
    def _strategy(self) -> str:
        return self.query_one("#strategy", ChoiceLine).value

    @property
    def name_typed(self) -> str:
        """What the result is to be called."""
        return self.query_one("#name", Input).value.strip()

    def recipe(self) -> Recipe:
        """What is typed, without what the strategy does not use. Raises BadInput for what is no number."""
        strategy = self._strategy
        used = _USES[strategy]
        weights: tuple[float, ...] = ()
        if "weights" in used:
            weights = tuple(self._number(f"weight-{n}", label) for n, label in enumerate(self._labels))
            if strategy != "weighted" and all(weight == 1 for weight in weights):
                weights = ()
        return Recipe(
            strategy=strategy,  # type: ignore[arg-type]
            weights=weights,
            t=self._number("t", "t") if "t" in used else 0.5,
            density=self._number("density", "density") if "density" in used and self._typed("density") else None,
            scaling=self._number("scaling", "lambda") if "scaling" in used else 1.0,
            seed=self._whole("seed") if "seed" in used else 0,
            rank=self._whole("rank") if "rank" in used and self._typed("rank") else 0,
            space=self.query_one("#space", ChoiceLine).value if "space" in used else "core",  # type: ignore[arg-type]
        )

    def _typed(self, key: str) -> str:
        return self.query_one(f"#{key}", Input).value.strip()

    def _number(self, key: str, name: str) -> float:
        text = self._typed(key).replace(",", ".")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadInput(f"{name}: {text or 'nothing'} is no number", fix="As in 0.5.")
        return value

    def _whole(self, key: str) -> int:
        text = self._typed(key)
        if not text.isdecimal():
            raise BadInput(f"{key}: {text or 'nothing'} is no whole number", fix="As in 16.")
        return int(text)


def proposed_name(labels: Sequence[str]) -> str:
    """The name that all have, else their names side by side."""
    names = list(dict.fromkeys(re.sub(r"[^\w.-]+", "-", label.partition("@")[0]) for label in labels))
    return "-".join(names)[:40].strip("-._")
