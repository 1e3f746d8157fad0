"""One expectation as a form: its type, its value, what it weighs; and whether an answer that is typed would meet it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static, TextArea

from lora_tui.jobs.checks import Expectation, text_of
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.screens.suites import field
from lora_tui.tui.widgets.choice_line import ChoiceLine
from lora_tui.verify.suites import kinds as suite_kinds
from lora_tui.verify.suites import trial as suite_trial
from lora_tui.verify.suites import values as suite_values
from lora_tui.workspace.errors import BadInput

_KINDS = tuple((item.name, item.about) for item in suite_kinds.known())
_SENSES = (("must", "the answer must show it"), ("must not", "as not-…: the answer must not"))


class ExpectationForm(Dialog[dict[str, Any]]):
    """Results in the expectation's type, value, weight and threshold (None: not there), None when closed."""

    BINDINGS = [*bindings("form"), *bindings("expectation")]
    DEFAULT_CSS = f"ExpectationForm {{ {field.CSS} }}"

    def __init__(
        self, title: str, data: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Expectation], answer: str = ""
    ) -> None:
        """`read` makes of what is typed what would be checked, and raises BadInput; `answer` to begin with."""
        super().__init__()
        self._title, self._data, self._read, self._answer = title, data, read, answer
        self._type = str(data.get("type", "contains"))

    @property
    def answer(self) -> str:
        """What the expectation was tried on."""
        return self.query_one("#answer", TextArea).text

    def compose(self) -> ComposeResult:
        """Type, value, numbers; then the answer to try it on, and what it says."""
        kind = self._type.removeprefix("not-")
        value = suite_values.shown(kind, self._data.get("value"))
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            kinds = ChoiceLine(_KINDS, id="kind")
            kinds.set_reactive(ChoiceLine.place, next((n for n, item in enumerate(_KINDS) if item[0] == kind), 0))
            yield from field.beside("type", kinds)
            sense = ChoiceLine(_SENSES, id="sense")
            sense.set_reactive(ChoiceLine.place, int(self._type != kind))
            yield from field.beside("", sense)
            yield from field.lines("value", "value", value, 5)
            for key in ("weight", "threshold"):
                yield from field.line(key, key, text_of(self._data.get(key)))
            yield from field.lines("answer", "an answer to try it on", self._answer, 3)
            yield Static(id="said", markup=False)
        box.border_title = self._title
        box.border_subtitle = "tab next · f2 types · ctrl+s take · esc close"

    def on_mount(self) -> None:
        """Begin with the value."""
        self.query_one("#value", TextArea).focus()
        self._show_hints()

    @property
    def _kind(self) -> str:
        return self.query_one("#kind", ChoiceLine).value

    def typed(self) -> dict[str, Any]:
        """What is typed. Raises BadInput for what is no number or no JSON."""
        not_ = "not-" if self.query_one("#sense", ChoiceLine).value == "must not" else ""
        same = self._kind == self._type.removeprefix("not-")
        text = self.query_one("#value", TextArea).text
        return {
            "type": not_ + self._kind,
            "value": suite_values.typed(self._kind, text, self._data.get("value") if same else None),
            "threshold": self._number("threshold"),
            "weight": self._number("weight"),
        }

    def _number(self, key: str) -> float | int | None:
        text = self.query_one(f"#{key}", Input).value.strip().replace(",", ".")
        if not text:
            return None
        try:
            found = float(text)
        except ValueError as error:
            raise BadInput(f"{key}: {text} is no number") from error
        return int(found) if found.is_integer() else found

    def on_choice_line_changed(self, message: ChoiceLine.Changed) -> None:
        """Another type: other hints, another verdict."""
        self._show_hints()

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """Try it again."""
        self._try()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Try it again."""
        self._try()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter goes to the next field."""
        self.focus_next()

    def _show_hints(self) -> None:
        known = suite_kinds.of(self._kind)
        self.query_one("#value-label", Static).update(f"value: {known.hint or 'none'}")
        self.query_one("#threshold", Input).placeholder = known.threshold or "none"
        self.query_one("#weight", Input).placeholder = "1; 0 is shown and never decides"
        self._try()

    def _try(self) -> bool:
        """Say whether the answer passes, or what is wrong with the expectation."""
        said = self.query_one("#said", Static)
        said.set_classes("")
        try:
            found = suite_trial.tried(self._read(_present(self.typed())), self.answer)
        except BadInput as error:
            said.add_class("-wrong")
            said.update(one_line(error.what))
            return False
        if found.not_run:
            said.update(f"· not run: {one_line(found.not_run)}")
        elif not self.answer:
            said.update("")
        else:
            said.add_class("-good" if found.passed else "-wrong")
            said.update(
                "✓ the answer passes" if found.passed else f"✗ the answer does not pass {one_line(found.detail)}"
            )
        return True

    def action_write(self) -> None:
        """Take it, unless it could not be checked."""
        if self._try():
            self.dismiss(self.typed())

    def action_kinds(self) -> None:
        """Choose the type from a list."""
        choices = [(name, f"{name:<16} {about}") for name, about in _KINDS]

        def chosen(name: str | None) -> None:
            if name is not None:
                self.query_one("#kind", ChoiceLine).place = [item[0] for item in _KINDS].index(name)
                self._show_hints()

        self.app.push_screen(ChooseDialog("Type", choices, self._kind), chosen)


def _present(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
