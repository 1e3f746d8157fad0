"""A few lines that change often. Of a line, only what stands left of its last change is sent, with 40 bytes for every
piece of another tone: what ticks belongs to the left, in few pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

Piece = tuple[str, str]
Line = Sequence[Piece]
Draw = Callable[[int], Sequence[Line]]


class LiveLines(Widget):
    """Shows what a function of the width draws: lines of (text, tone) pieces, free of control codes."""

    TONES = ("muted", "faint", "good", "bad", "warn", "accent", "primary", "strong")
    COMPONENT_CLASSES = {f"live--{tone}" for tone in TONES}
    DEFAULT_CSS = """
    LiveLines {
        height: auto;
        & .live--muted { color: $muted; text-style: $muted-style; }
        & .live--faint { color: $faint; }
        & .live--good { color: $success; }
        & .live--bad { color: $error; }
        & .live--warn { color: $warning; }
        & .live--accent { color: $accent; }
        & .live--primary { color: $primary; }
        & .live--strong { text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draw: Draw = lambda width: ()
        self._shown: list[Line] = []
        self._unseen: int | None = None  # lines there were while none was shown

    def show(self, draw: Draw) -> None:
        """Show what `draw(width)` makes, now and after every change of size."""
        self._draw = draw
        if not self.size.width:  # not shown, or without a line so far: laid out again only where that may change
            count = len(list(draw(self.screen.size.width))) if self.is_attached else None
            if count is None or count != self._unseen:
                self._unseen = count
                self.refresh(layout=True)
            return
        self._unseen = None
        lines = list(draw(self.size.width))
        if len(lines) != len(self._shown):
            self._shown = lines
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(self._shown, lines, strict=True)):
            if span := changed_span(old, new):
                self._shown[y] = new
                first, last = span
                self.refresh(Region(first, y, max(1, min(last, self.size.width) - first), 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are."""
        return len(self._draw(width))

    def on_resize(self, event: events.Resize) -> None:
        """Draw for the new width."""
        self._shown = list(self._draw(self.size.width))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line, as it was drawn last."""
        base = self.rich_style
        if y >= len(self._shown):
            return Strip.blank(self.size.width, base)
        segments = [
            Segment(text, self.get_component_rich_style(f"live--{tone}") if tone else base)
            for text, tone in self._shown[y]
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)


def changed_span(old: Line, new: Line) -> tuple[int, int] | None:
    """The cells from the first to behind the last that differ; None when nothing does."""
    before = [(character, tone) for text, tone in old for character in text]
    after = [(character, tone) for text, tone in new for character in text]
    if before == after:
        return None
    first = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        first += 1
    start = cell_len("".join(character for character, _ in after[:first]))
    ends = [cell_len("".join(character for character, _ in cells)) for cells in (before, after)]
    if ends[0] != ends[1]:
        return start, max(ends)
    same = 0
    while same < min(len(before), len(after)) - first and before[-1 - same] == after[-1 - same]:
        same += 1
    return start, ends[0] - cell_len("".join(character for character, _ in after[len(after) - same :]))


def bar(share: float | None, width: int, tone: str = "primary") -> list[Piece]:
    """A bar of `width` cells filled to `share` (0 to 1); None is an empty one."""
    filled = round(width * min(1.0, max(0.0, share or 0.0)))
    return [("█" * filled, tone), ("░" * (width - filled), "faint")]
