"""One line: a name, a bar, what it stands at."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from lora_tui.tui.safe_text import fit


class Gauge(Widget):
    """`name ████████░░░░ text`; sends a line only when something visible changed."""

    COMPONENT_CLASSES = {"gauge--bar", "gauge--rest", "gauge--name", "gauge--high"}
    DEFAULT_CSS = """
    Gauge {
        height: 1;
        & .gauge--name { color: $muted; text-style: $muted-style; }
        & .gauge--bar { color: $primary; }
        & .gauge--high { color: $warning; }
        & .gauge--rest { color: $faint; }
    }
    """

    def __init__(self, name: str, *, name_width: int = 8, text_width: int = 18, high: float = 0.95) -> None:
        super().__init__()
        self._label = fit(name, name_width)
        self._text_width = text_width
        self._high = high
        self._share: float | None = None
        self._text = ""
        self._drawn: tuple[int, str] = (-1, "")

    def show(self, share: float | None, text: str) -> None:
        """`share` of the whole between 0 and 1, None when it is not known; `text` says it in units."""
        self._share = None if share is None else min(1.0, max(0.0, share))
        self._text = text
        if self._state() != self._drawn:
            self.refresh()

    def _state(self) -> tuple[int, str]:
        return (-1 if self._share is None else round(self._share * self._bar_width()), self._text)

    def _bar_width(self) -> int:
        return max(4, self.size.width - len(self._label) - self._text_width - 3)

    def render(self) -> Content:
        """The line."""
        self._drawn = filled, text = self._state()
        width = self._bar_width()
        tone = "gauge--high" if (self._share or 0.0) >= self._high else "gauge--bar"
        bar = max(0, filled)
        return Content.assemble(
            Content.styled(self._label + " ", self.get_visual_style("gauge--name")),
            Content.styled("█" * bar, self.get_visual_style(tone)),
            Content.styled("░" * (width - bar), self.get_visual_style("gauge--rest")),
            Content(" " + fit(text, self._text_width)),
        )
