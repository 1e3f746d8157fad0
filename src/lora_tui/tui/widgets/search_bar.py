"""The line in which words are searched for: the list follows while a person types."""

from __future__ import annotations

from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

_AFTER = 0.12  # seconds without a key


class SearchBar(Input):
    """Posts Searched a moment after the last key, and at once for enter."""

    class Searched(Message):
        """Look for these words; `done`: the person pressed enter."""

        def __init__(self, words: str, done: bool) -> None:
            super().__init__()
            self.words = words
            self.done = done

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="search", compact=True)
        self.cursor_blink = False
        self._typing: Timer | None = None

    def begin(self, words: str) -> None:
        """Take the keys, with these words to begin from."""
        self.still()
        with self.prevent(Input.Changed):
            self.value = words
        self.focus()

    def still(self) -> None:
        """Forget what was typed last: it is not searched for any more."""
        if self._typing is not None:
            self._typing.stop()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Wait for the next key."""
        self.still()
        self._typing = self.set_timer(_AFTER, lambda: self.post_message(self.Searched(message.value, False)))

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Search now."""
        self.still()
        self.post_message(self.Searched(message.value, True))
