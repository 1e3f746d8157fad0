"""What the examples lack for a prompt that the fine-tune failed, and the way to label what could help."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual import work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message

from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import many
from lora_tui.workspace.errors import BadInput

if TYPE_CHECKING:
    from lora_tui.verify.lessons import Lesson
    from lora_tui.verify.reports.report import Report
    from lora_tui.workspace.layout import Workspace

_WIDTH = 72  # cells


class LessonsDialog(PageDialog):
    """Looks through the examples in a thread; enter freezes the candidates as a queue for Sessions."""

    BINDINGS = [Binding("enter", "queue", show=False)]

    class Queued(Message):
        """The queue is made."""

        def __init__(self, name: str, total: int) -> None:
            super().__init__()
            self.name, self.total = name, total

    def __init__(self, workspace: Workspace, report: Report, number: int, author: str) -> None:
        super().__init__(f"What training lacks for prompt {number}", self._teach)
        self._workspace, self._report, self._number, self._author = workspace, report, number, author
        self._taught: list[Lesson] = []
        self._unwanted = threading.Event()

    def on_unmount(self) -> None:
        """Nobody waits for it any more."""
        self._unwanted.set()

    def _teach(self) -> str:
        from lora_tui.verify import lessons

        self._taught = lessons.lessons_of(
            self._workspace, self._report, prompt=self._number, cancelled=self._unwanted.is_set
        )
        return "\n".join(line for lesson in self._taught for line in _lines(lesson))

    def on_page_dialog_written(self, message: PageDialog.Written) -> None:
        """Say what enter does."""
        super().on_page_dialog_written(message)
        if found := sum(len(lesson.candidates) for lesson in self._taught):
            self.query_one(VerticalScroll).border_subtitle = f"enter queue {found} to label · c copy · esc close"

    def action_queue(self) -> None:
        """Freeze the candidates as a queue."""
        if not any(lesson.candidates for lesson in self._taught):
            raise BadInput("there is nothing to queue", fix="Take in more history first: i on Home.")
        self._queue()

    @work(thread=True, exit_on_error=False)
    def _queue(self) -> None:
        from lora_tui.verify import lessons

        name = lessons.queue_name(self._report, self._number)
        made = lessons.queue(self._workspace, self._report, self._taught, self._author, name)
        self.post_message(self.Queued(made.name, made.total))

    def on_lessons_dialog_queued(self, message: Queued) -> None:
        """Say where it is."""
        text = f"Queue {message.name}: {message.total} to decide about. Q in Sessions opens it."
        self.app.notify(text, timeout=8, markup=False)
        self.dismiss(None)


def _lines(lesson: Lesson) -> Iterator[str]:
    if lesson.note:
        yield from _wrapped("note: ", lesson.note)
    yield from _wrapped("", lesson.prompt)
    for text in lesson.expectations_missed:
        yield from _wrapped("  missed: ", text)
    yield ""
    for text in lesson.lacks() or ["the examples mention all that it is about"]:
        yield from _wrapped("✗ ", text)
    if lesson.near:
        yield ""
        yield f"Nearest of {many(lesson.examples, 'example')} it learned from"
    for near in lesson.near:
        name = f"example {near.example}" if near.example else f"row {near.row[:12]}"
        yield from _wrapped("≈ ", f"{name}, {near.share:.0%} of it ({', '.join(near.shared)}): {near.request}")
    if lesson.candidates:
        yield ""
        yield "Not labelled yet, and might help"
    for item in lesson.candidates:
        yield from _wrapped("+ ", f"example {item.example} mentions {', '.join(item.mentions)}: {item.request}")
    for alike in lesson.too_alike:
        told = f"example {alike.example} is not proposed, it would be training on the test: {alike.how}"
        yield from _wrapped("! ", told)


def _wrapped(mark: str, text: str) -> Iterator[str]:
    for number, line in enumerate(wrap(one_line(text), _WIDTH - len(mark))):
        yield (" " * len(mark) if number else mark) + line
