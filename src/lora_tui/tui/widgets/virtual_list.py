"""A list of any length: it draws the lines on screen and asks its source for those rows only.

Textual's DataTable takes 15 CPU seconds and 106 MiB for 100,000 rows, ListView mounts a widget per row, and OptionList
repaints itself on every key; this one sends two lines per move at any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rich.segment import Segment
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import fit

_STRIPS = 512


class Column(NamedTuple):
    """One column: its width in cells (0: the rest of the line), aligned right for numbers."""

    width: int
    right: bool = False


class Cell(NamedTuple):
    """The text of one column in one row. `tone`: '', muted, good, bad, warn or accent."""

    text: str
    tone: str = ""


class RowSource(Protocol):
    """Where a list's rows come from."""

    def __len__(self) -> int:
        """How many rows there are."""

    def columns(self, width: int) -> Sequence[Column]:
        """The columns for a list this wide."""

    def cells(self, index: int) -> Sequence[Cell]:
        """One row, as many cells as columns; text on one line, free of control codes."""


class NoRows:
    """An empty source."""

    def __len__(self) -> int:
        return 0

    def columns(self, width: int) -> Sequence[Column]:
        """No columns."""
        return ()

    def cells(self, index: int) -> Sequence[Cell]:
        """Never asked for."""
        raise IndexError(index)


class VirtualList(ScrollView, can_focus=True):
    """Rows of a RowSource with one cursor, moved by keys or a click. Posts Moved and Chosen."""

    PLACE = "list"
    BINDINGS = bindings("list")
    COMPONENT_CLASSES = {
        "vlist--cursor",
        "vlist--muted",
        "vlist--good",
        "vlist--bad",
        "vlist--warn",
        "vlist--accent",
    }
    DEFAULT_CSS = """
    VirtualList {
        background: $background;
        overflow-x: hidden;
        overflow-y: scroll;
        & .vlist--cursor {
            color: $block-cursor-blurred-foreground; background: $block-cursor-blurred-background;
            text-style: $block-cursor-blurred-text-style;
        }
        &:focus .vlist--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
        & .vlist--muted { color: $muted; text-style: $muted-style; }
        & .vlist--good { color: $success; }
        & .vlist--bad { color: $error; }
        & .vlist--warn { color: $warning; }
        & .vlist--accent { color: $primary; }
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)
    """The index of the current row."""

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, sender: VirtualList, index: int) -> None:
            super().__init__()
            self.list = sender
            self.index = index

        @property
        def control(self) -> VirtualList:
            """The list."""
            return self.list

        def can_replace(self, message: Message) -> bool:
            """Only the latest place matters."""
            return isinstance(message, VirtualList.Moved) and message.list is self.list

    class Clicked(Moved):
        """A row was clicked while the cursor was on it."""

    def __init__(self, source: RowSource | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source: RowSource = source or NoRows()
        self._strips: LRUCache[tuple[int, bool, int], Strip] = LRUCache(_STRIPS)
        self._columns: Sequence[Column] = ()
        self._laid_out = 0  # the width the columns are for

    @property
    def source(self) -> RowSource:
        """The rows shown now."""
        return self._source

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def show(self, source: RowSource, cursor: int = 0) -> None:
        """Show other rows, with the cursor on row `cursor`."""
        self._source = source
        self._strips.clear()
        self._laid_out = 0
        self.virtual_size = Size(0, len(source))
        with self.prevent(VirtualList.Moved):
            self.set_reactive(VirtualList.cursor, self.validate_cursor(cursor))
        self._keep_in_sight()
        self.refresh()
        self.post_message(self.Moved(self, self.cursor))

    def refresh_row(self, index: int, cells: int = 0) -> None:
        """Draw one row anew, because what the source says of it changed, if only in its first `cells` (0: all)."""
        for hot in (False, True):
            self._strips.discard((index, hot, self._width))
        self.refresh(Region(0, index - self.scroll_offset.y, min(cells or self._width, self._width), 1))

    def redraw(self) -> None:
        """Draw all rows anew, because what the source says of many changed."""
        self._strips.clear()
        self.refresh()

    def refresh_lines(self, y_start: int, line_count: int = 1) -> None:
        """Draw some rows anew, without the scroll bar beside them."""
        self.refresh(Region(0, y_start - self.scroll_offset.y, self._width, line_count))

    def validate_cursor(self, value: int) -> int:
        """Stay inside."""
        return max(0, min(value, len(self._source) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        """Two lines are drawn: the row left and the row reached."""
        self.refresh_lines(old)
        self.refresh_lines(new)
        self._keep_in_sight()
        self.post_message(self.Moved(self, new))

    def _keep_in_sight(self) -> None:
        """Scroll half a page when the cursor leaves the window: many short repaints would cost more than one long."""
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height > 0 and not top <= self.cursor < top + height:
            self.scroll_to(y=max(0, self.cursor - height // 2), animate=False, force=True, immediate=True)

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor in the window."""
        self._keep_in_sight()

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        index, width = y + self.scroll_offset.y, self._width
        if index >= len(self._source):
            return Strip.blank(width, self.rich_style)
        if width != self._laid_out:
            self._strips.clear()
            self._columns, self._laid_out = self._source.columns(width), width
        hot = index == self.cursor
        key = (index, hot, width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._draw(index, hot, width)
        return strip

    def _draw(self, index: int, hot: bool, width: int) -> Strip:
        fixed = sum(column.width + 1 for column in self._columns if column.width)
        texts: list[tuple[str, str]] = []
        for column, cell in zip(self._columns, self._source.cells(index), strict=True):
            size = column.width or max(1, width - fixed - 1)
            text = " " + fit(cell.text, size, right=column.right)
            before, tone = texts[-1] if texts else ("", cell.tone)
            if texts and (tone == cell.tone or not text.strip() or not before.strip()):  # fewer colour changes to send
                texts[-1] = (before + text, cell.tone if text.strip() else tone)
            else:
                texts.append((text, cell.tone))
        if hot:
            style = self.get_component_rich_style("vlist--cursor")
            return Strip([Segment("".join(text for text, _ in texts), style)]).adjust_cell_length(width, style)
        base = self.rich_style
        styles = {tone: self.get_component_rich_style(f"vlist--{tone}") if tone else base for _, tone in texts}
        return Strip([Segment(text, styles[tone]) for text, tone in texts]).adjust_cell_length(width, base)

    def notify_style_update(self) -> None:
        """Colours changed: draw all anew."""
        self._strips.clear()
        super().notify_style_update()

    def on_focus(self) -> None:
        """The cursor row looks different with the focus."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """The cursor row looks different without the focus."""
        self.refresh_row(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """Go to the row that was clicked; a click on the cursor's row chooses it."""
        index = event.y + self.scroll_offset.y
        if index == self.cursor and len(self._source):
            self.post_message(self.Clicked(self, index))
        elif index < len(self._source):
            self.cursor = index

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self.cursor += rows

    def action_page(self, pages: float) -> None:
        """Move the cursor by pages of the window, half of one included."""
        self.cursor += int(pages * max(2, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        """The first row."""
        self.cursor = 0

    def action_last(self) -> None:
        """The last row."""
        self.cursor = len(self._source) - 1
