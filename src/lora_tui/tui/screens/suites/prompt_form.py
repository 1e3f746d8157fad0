"""One prompt of a suite as a form: what it is called, what is asked, of which language, how much must be met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static, TextArea

from lora_tui.jobs.checks import text_of
from lora_tui.tui.keymap import bindings
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.screens.suites import field
from lora_tui.verify.suites.outline import Entry

Filled = dict[tuple[str, ...], Any]  # by the path within the test; None: the key is to go


class PromptForm(Dialog[Filled]):
    """Results in what is typed by its path within the test, None when closed."""

    BINDINGS = bindings("form")
    DEFAULT_CSS = f"PromptForm {{ {field.CSS} }}"

    def __init__(self, title: str, entry: Entry, names: Sequence[str]) -> None:
        """`names`: the variables to ask for; those of the entry that are no text are left as they are."""
        super().__init__()
        self._title = title
        self._entry = entry
        given = {name for name, value in entry.vars.items() if isinstance(value, dict | list)}
        self._names = [name for name in dict.fromkeys([*entry.vars, *names]) if name not in given]

    def compose(self) -> ComposeResult:
        """The fields; the first of the variables has most room."""
        entry = self._entry
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            yield from field.line("description", "called", entry.description if entry.vars else "", "a short name")
            height = 9 if len(self._names) == 1 else 4
            for number, name in enumerate(self._names):
                yield from field.lines(f"var-{number}", name, text_of(entry.vars.get(name)), height)
            yield from field.line("language", "language", entry.language, "of its code checks: python, rust, …")
            yield from field.line(
                "threshold",
                "threshold",
                text_of(entry.threshold),
                "the weighted share of expectations that is enough; empty: all",
            )
            yield Static(id="said", markup=False)
        box.border_title = self._title
        box.border_subtitle = "tab next · ctrl+s take · esc close"

    def on_mount(self) -> None:
        """Begin with what is asked."""
        self.query_one("#var-0" if self._names else "#description").focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter goes to the next field; in the last one it is done."""
        if message.input.id == "threshold":
            self.action_write()
        else:
            self.focus_next()

    def action_write(self) -> None:
        """Take what is typed, unless it cannot be."""
        typed = self._line("threshold").replace(",", ".")
        threshold: float | None = None
        try:
            threshold = float(typed) if typed else None
        except ValueError:
            self._refuse(f"threshold: {typed} is no number, as in 0.6")
            return
        found: Filled = {("description",): self._line("description") or None}
        for number, name in enumerate(self._names):
            text = self.query_one(f"#var-{number}", TextArea).text
            before = self._entry.vars.get(name)
            if text == text_of(before):  # of another prompt's variables it need not have any
                if name in self._entry.vars:
                    found["vars", name] = before
            elif text.strip():
                found["vars", name] = text
            else:
                self._refuse(f"{name} is empty: a prompt asks something")
                return
        if self._names and not self._entry.vars and not any(key[0] == "vars" for key in found):
            self._refuse(f"{self._names[0]} is empty: a prompt asks something")
            return
        found["metadata", "language"] = self._line("language") or None
        found["threshold",] = threshold
        self.dismiss(found)

    def _line(self, key: str) -> str:
        return self.query_one(f"#{key}", Input).value.strip()

    def _refuse(self, text: str) -> None:
        said = self.query_one("#said", Static)
        said.add_class("-wrong")
        said.update(text)
        said.scroll_visible(animate=False)  # with several variables it stands below the frame
