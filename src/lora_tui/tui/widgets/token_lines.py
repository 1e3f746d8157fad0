"""A row token by token in the tones of a transcript."""

from __future__ import annotations

from collections.abc import Iterator

from lora_tui.jobs.token_layout import flowing, tabled
from lora_tui.jobs.token_view import View
from lora_tui.tui.widgets.conversation_lines import Line


def token_lines(view: View, width: int, folded: bool = True) -> Iterator[Line]:
    """The row as flowing text; not `folded`: one token per line, with its id. Made as far as it is read."""
    return flowing(view, width) if folded else tabled(view, width)
