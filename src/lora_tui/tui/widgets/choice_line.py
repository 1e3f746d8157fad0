"""One of a few words on one line, changed with the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from lora_tui.tui.keymap import bindings


class ChoiceLine(Widget, can_focus=True):
    """Shows `‹ word ›` and what it means. Posts Changed."""

    PLACE = "choice"
    BINDINGS = bindings("choice")
    COMPONENT_CLASSES = {"choice--muted"}
    DEFAULT_CSS = """
    ChoiceLine {
        height: 1; width: 1fr; padding: 0 1; background: $panel;
        & .choice--muted { color: $muted; text-style: $muted-style; }
        &:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """

    place: reactive[int] = reactive(0)
    """Which of the choices it is. Whoever watches it is told at once, before the next key."""

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, choices: Sequence[tuple[str, str]], *, id: str) -> None:
        """`choices` are (word, what it means)."""
        super().__init__(id=id)
        self._choices = choices

    @property
    def value(self) -> str:
        """The word that is chosen."""
        return self._choices[self.place][0]

    def render(self) -> Content:
        """The line."""
        word, about = self._choices[self.place]
        style = "" if self.has_focus else self.get_visual_style("choice--muted")
        return Content.assemble(Content(f"‹ {word} ›"), Content.styled(f"  {about}", style))

    def action_turn(self, by: int) -> None:
        """The next word, or the one before."""
        self.place = (self.place + by) % len(self._choices)
        self.post_message(self.Changed())
