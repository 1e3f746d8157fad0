"""A conversation to read, laid out as far as it is scrolled. One Markdown widget per turn would cost seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lora_tui.sources.model import Message
from lora_tui.tui.keymap import bindings
from lora_tui.tui.widgets.conversation_lines import Line, conversation
from lora_tui.tui.widgets.found_words import marked
from lora_tui.tui.widgets.live_lines import changed_span

_AHEAD = 60  # lines laid out beyond the window
_STEP = 12  # lines by which a text that is being written grows: each time all of it is sent


def _classes(tone: str) -> list[str]:
    return [f"transcript--{name}" for name in tone.split()]


class Transcript(ScrollView, can_focus=True):
    """Shows messages of sources.model; scrolled by keys. Foreign text is shown, never obeyed."""

    PLACE = "transcript"
    BINDINGS = bindings("transcript")
    _TONES = (
        *("muted", "aside", "undone", "you", "agent", "tool", "output", "heading", "good", "bad", "redacted", "found"),
        *("code-keyword", "code-string", "code-number", "code-name"),
        *("trained", "trained-next", "context", "context-next", "special", "special-trained", "cut"),
        *("changed", "met", "met-changed"),
    )
    COMPONENT_CLASSES = {f"transcript--{tone}" for tone in _TONES}
    DEFAULT_CSS = """
    Transcript {
        background: $background;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;  /* the text is wrapped once: a bar that comes must not change its width */
        padding: 0 1;
        & .transcript--muted { color: $muted; text-style: $muted-style; }
        & .transcript--aside { color: $muted; text-style: italic; }
        & .transcript--undone { color: $muted; text-style: strike; }
        & .transcript--you { color: $accent; text-style: bold; }
        & .transcript--agent { color: $primary; text-style: bold; }
        & .transcript--tool { color: $secondary; text-style: bold; }
        & .transcript--output { color: $muted; text-style: $muted-style; }
        & .transcript--heading { text-style: bold; }
        & .transcript--good { color: $success; }
        & .transcript--bad { color: $error; }
        & .transcript--redacted { color: $warning; text-style: reverse; }
        & .transcript--found { color: $accent; text-style: bold underline; }
        & .transcript--code-keyword { color: $code-keyword; }
        & .transcript--code-string { color: $code-string; }
        & .transcript--code-number { color: $code-number; }
        & .transcript--code-name { color: $code-name; }
        & .transcript--trained { color: $success; text-style: bold; }
        & .transcript--trained-next { color: $success; }
        & .transcript--context { color: $muted; text-style: $muted-style; }
        & .transcript--context-next { color: $muted 80%; text-style: $muted-style; }
        & .transcript--special { color: $secondary; text-style: $muted-style; }
        & .transcript--special-trained { color: $secondary; text-style: bold; }
        & .transcript--cut { color: $warning; text-style: bold; }
        & .transcript--changed { text-style: bold underline; }
        & .transcript--met { text-style: reverse; }
        & .transcript--met-changed { text-style: bold underline reverse; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make: Callable[[int, bool], Iterator[Line]] = lambda width, folded: iter(())
        self._rest: Iterator[Line] | None = None
        self._lines: list[Line] = []
        self._folded = True
        self._growing = False

    def show(
        self,
        messages: Sequence[Message],
        before: Callable[[int], Sequence[Line]] = lambda width: (),
        weights: Sequence[int] = (),
        *,
        words: str = "",
        stay: bool = False,
    ) -> None:
        """Show a conversation from its beginning, under lines of our own that `before` makes for a width.

        `words`: what was searched for, marked. `stay`: it is the one shown now; it stays as far scrolled and unfolded
        as it is.
        """

        def lines(width: int, folded: bool) -> Iterator[Line]:
            told = conversation(messages, width, folded=folded, weights=weights)
            return chain(before(width), marked(told, words) if words else told)

        self.show_lines(lines, stay=stay)

    def show_lines(
        self, make: Callable[[int, bool], Iterator[Line]], *, stay: bool = False, growing: bool = False
    ) -> None:
        """Show what `make(width, folded)` yields, as far as it is scrolled.

        A tone is one of this widget's, or two of them with a blank between: a code's and a mark. With `stay` only what
        is different from before is drawn. `growing`: more is to come.
        """
        self._make = make
        self._growing = growing
        self._folded = self._folded or not stay
        before = self._lines
        self._lay_out_anew()
        if not stay:
            self.refresh()
            self.scroll_to(y=0, animate=False, force=True, immediate=True)
            return
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        old, new = (lines[top : top + height] for lines in (before, self._lines))
        nothing: Line = []
        for y, (one, other) in enumerate(zip_longest(old, new, fillvalue=nothing)):
            if span := changed_span(one, other):
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def _start_over(self) -> None:
        self._lay_out_anew()
        self.refresh()

    def _lay_out_anew(self) -> None:
        self._lines = []
        self._rest = self._make(max(20, self.scrollable_content_region.width), self._folded)
        self._lay_out(self.scroll_offset.y)

    def _lay_out(self, top: int) -> None:
        """Have the lines for a window that begins at `top`, and some more."""
        wanted = top + self.scrollable_content_region.height + _AHEAD
        while self._rest is not None and len(self._lines) < wanted:
            line = next(self._rest, None)
            if line is None:
                self._rest = None
            else:
                self._lines.append(line)
        height = max(len(self._lines), self.scrollable_content_region.height)  # less needs no layout to grow
        if self.virtual_size.height != height and not (self._growing and 0 < height - self.virtual_size.height < _STEP):
            self.virtual_size = Size(0, height)

    def on_resize(self, event: events.Resize) -> None:
        """Wrap for the new width."""
        self._start_over()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Lay out what comes into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._lay_out(int(new_value))

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        index, width = y + self.scroll_offset.y, self.size.width
        base = self.rich_style
        if index >= len(self._lines):
            return Strip.blank(width, base)
        segments = [
            Segment(text, self.get_component_rich_style(*_classes(tone)) if tone else base)
            for text, tone in self._lines[index]
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def action_line(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, immediate=True)

    def action_page(self, pages: float) -> None:
        """Scroll by pages of the window."""
        step = int(pages * max(2, self.scrollable_content_region.height - 2))
        self.scroll_to(y=self.scroll_offset.y + step, animate=False, immediate=True)

    def action_first(self) -> None:
        """To the top."""
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_last(self) -> None:
        """To the end; the whole conversation is laid out for it."""
        self._lay_out(1 << 40)
        self.scroll_to(y=len(self._lines), animate=False, immediate=True)

    def action_unfold(self) -> None:
        """Show long outputs whole, or fold them again."""
        self._folded = not self._folded
        self._start_over()
