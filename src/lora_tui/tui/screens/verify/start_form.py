"""How a comparison is asked: samples, sampling, gates, further endpoints; checked while it is typed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Input, Static

from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.screens.verify.proposal import Proposal
from lora_tui.workspace.errors import BadInput, LoraTuiError

_SAID = {
    "samples": "answers to each prompt; empty: as many as the suite says. Five tell noise from a difference.",
    "temperature": "0 is greedy; empty: greedy with one sample of each prompt, else 0.7",
    "max_tokens": "an answer is cut after so many tokens",
    "seed": "sample i of a prompt is drawn with seed + i, alike on every side",
    "at_once": "requests in flight per endpoint; empty: as many as it takes",
    "fresh": "yes: ask everything anew, and take no answer kept from an earlier run",
    "others": "further endpoints beside the two, with blanks between",
    "gates": "what promotion asks for, with ; between: success >= 98 %; latency < 12 s",
    "judge": "the endpoint that reads what llm-rubric asks; empty: nobody",
}


class StartForm(Dialog[Proposal]):
    """Results in the proposal with what was typed, None when closed."""

    BINDINGS = bindings("form")
    DEFAULT_CSS = """
    StartForm {
        .dialog { width: 78; height: auto; }
        .field { height: 1; }
        .label { width: 14; color: $muted; text-style: $muted-style; }
        Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
        #said { height: 2; margin-top: 1; color: $muted; text-style: $muted-style; }
        #problem { height: 2; color: $error; }
    }
    """

    def __init__(self, proposal: Proposal, check: Callable[[Proposal], None]) -> None:
        """`check` raises a LoraTuiError for a proposal that cannot be started so."""
        super().__init__()
        self._proposal, self._check_whole = proposal, check

    def compose(self) -> ComposeResult:
        """One line per setting, what it means, what is wrong."""
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            for name in _SAID:
                field = Input(_text(self._proposal, name), compact=True, id=name)
                field.cursor_blink = False
                with Horizontal(classes="field"):
                    yield Static(name, classes="label", markup=False)
                    yield field
            yield Static(id="said", markup=False)
            yield Static(id="problem", markup=False)
        box.border_title = "How it is asked"
        box.border_subtitle = "tab next · ctrl+s take it · esc close"

    def on_mount(self) -> None:
        """Begin with the samples."""
        self.query_one("#samples", Input).focus()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Say what is being typed."""
        if event.widget.id in _SAID:
            self.query_one("#said", Static).update(Content(_SAID[event.widget.id]))

    def on_input_changed(self) -> None:
        """Say what cannot be."""
        self._wanted()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter goes to the next field; in the last one it takes all."""
        if message.input.id == list(_SAID)[-1]:
            self.action_write()
        else:
            self.focus_next(Input)

    def action_write(self) -> None:
        """Take what was typed, unless something is wrong with it: that is said, and nothing is lost."""
        wanted = self._wanted()
        if wanted is None:
            return
        try:
            self._check_whole(wanted)
        except LoraTuiError as error:
            self._say(f"{error.what}. {error.fix}")
            return
        self.dismiss(wanted)

    def _wanted(self) -> Proposal | None:
        typed = {name: self.query_one(f"#{name}", Input).value.strip() for name in _SAID}
        try:
            wanted = typed_proposal(self._proposal, typed)
        except BadInput as error:
            self._say(error.what)
            return None
        self._say("")
        return wanted

    def _say(self, problem: str) -> None:
        self.query_one("#problem", Static).update(Content(plain(problem)))


def typed_proposal(before: Proposal, typed: dict[str, str]) -> Proposal:
    """`before` with what was typed. Raises BadInput that names the field."""
    fresh = typed["fresh"].lower()
    if fresh not in ("", "yes", "no"):
        raise BadInput("fresh: yes or no")
    wanted = msgspec.structs.replace(
        before,
        samples=_whole("samples", typed["samples"]),
        temperature=_number("temperature", typed["temperature"]) if typed["temperature"] else None,
        max_tokens=_whole("max_tokens", typed["max_tokens"], 1) if typed["max_tokens"] else before.max_tokens,
        seed=_whole("seed", typed["seed"]),
        at_once=_whole("at_once", typed["at_once"]),
        fresh=fresh == "yes",
        others=tuple(typed["others"].split()),
        gates=tuple(gate.strip() for gate in typed["gates"].split(";") if gate.strip()),
        judge=typed["judge"],
    )
    if wanted.samples > 1 and wanted.temperature == 0:
        raise BadInput("temperature: greedy samples of a prompt are all alike")
    return wanted


def _text(proposal: Proposal, name: str) -> str:
    value = getattr(proposal, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ("; " if name == "gates" else " ").join(value)
    if name in ("samples", "at_once") and not value:
        return ""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _whole(name: str, text: str, least: int = 0) -> int:
    number = _number(name, text) if text else 0.0
    if number != int(number) or number < least:
        raise BadInput(f"{name}: a whole number from {least} on")
    return int(number)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise BadInput(f"{name}: {text!r} is no number from 0 on")
    return number
