"""A comparison on the screen: its summary, its prompts, and the answers to the one under the cursor."""

from __future__ import annotations

from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from lora_tui.tui.screens.verify import arranging
from lora_tui.tui.screens.verify.answers import Answers
from lora_tui.tui.screens.verify.comparison import Comparison, Prompt
from lora_tui.tui.screens.verify.prompt_lines import prompt_lines
from lora_tui.tui.screens.verify.prompt_rows import PromptRows
from lora_tui.tui.screens.verify.summary import summary_lines
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.virtual_list import VirtualList

_SUMMARY, _SUMMARY_WIDE = 5, 12  # lines of the summary, at most
_ASKED_WIDE, _WHOLE = 2, 8  # lines of a prompt in a wide window, and where it is read


class Board(Vertical):
    """Shows a Comparison; where the same one is shown again, only what changed is drawn."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.found: Comparison | None = None
        self.language = arranging.ALL
        self._rows: PromptRows | None = None
        self._whole = False
        self._reported = False  # whether its report was shown: it may be asked again since
        self._summary = LiveLines(id="summary")
        self._heading = Static(id="heading", markup=False)
        self._list = VirtualList(id="prompts")
        self._asked = LiveLines(id="prompt")
        self.answers = Answers(id="answers")

    def compose(self) -> ComposeResult:
        """Summary, prompts, answers."""
        yield self._summary
        yield self._heading
        yield self._list
        yield self._asked
        yield self.answers

    def on_mount(self) -> None:
        """Keys go to the list."""
        self._list.focus()

    @property
    def prompt(self) -> Prompt | None:
        """The prompt under the cursor."""
        rows = self._rows
        return rows.prompts[self._list.cursor] if rows is not None and self._list.cursor < len(rows) else None

    def show(self, found: Comparison) -> None:
        """Show a comparison, or the same one as it is now."""
        if self.found is None or self.found.id != found.id:
            self._rows, self.language, self._reported = None, arranging.ALL, False
        self.found = found
        self._show_rows(found, stay=self._reported)
        self._reported |= found.result is not None
        most = _SUMMARY_WIDE if self.screen.has_class("-wide") else _SUMMARY
        alone = "" if self.language == arranging.TOGETHER else self.language
        self._summary.show(partial(summary_lines, found, alone, most))
        self._show_prompt()

    def show_whole(self, whole: bool) -> None:
        """Show all of the prompt, or its beginning."""
        self._whole = whole
        self._show_prompt()

    def list_language(self, language: str) -> None:
        """List the prompts of one language, or all, as `arranging` names it."""
        self.language = language
        if self.found is not None:
            self.show(self.found)

    def _show_rows(self, found: Comparison, *, stay: bool) -> None:
        """List the prompts. In another order the cursor stays with its prompt.

        Only where the first report comes (`stay` is false then) and nobody has moved, it goes to what that has first.
        """
        before, rows = self._rows, PromptRows(found, arranging.arranged(found, self.language))
        changed = before.changed(rows) if before is not None else None
        if before is not None and changed is not None:
            before.prompts = rows.prompts
            for index in changed:
                self._list.refresh_row(index, rows.ticking)
            return
        now = self.prompt.number if self.prompt is not None and (stay or self._list.cursor) else 0
        numbers = [item.number for item in rows.prompts]
        self._rows = rows
        self._heading.update(rows.heading)
        self._list.show(rows, numbers.index(now) if now in numbers else 0)

    @on(VirtualList.Moved)
    def _show_prompt(self) -> None:
        prompt = self.prompt
        if self.found is not None and prompt is not None:
            most = _WHOLE if self._whole else _ASKED_WIDE if self.screen.has_class("-wide") else 1
            self._asked.show(partial(prompt_lines, prompt, self.found.notes.get(prompt.number, ""), most))
            self.answers.show(self.found.id, self.found.sides, prompt)
