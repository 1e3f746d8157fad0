"""A labelled line or a few lines to type in, as the forms of suites have them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea


def line(key: str, label: str, value: str, hint: str = "") -> ComposeResult:
    """One line."""
    made = Input(value, placeholder=hint, compact=True, id=key)
    made.cursor_blink = False
    yield from beside(label, made)


def beside(label: str, widget: Widget) -> ComposeResult:
    """A label before a widget of one line."""
    with Horizontal(classes="field"):
        yield Static(label, classes="label", markup=False)
        yield widget


def lines(key: str, label: str, value: str, height: int) -> ComposeResult:
    """Several lines under their label; tab goes on."""
    yield Static(label, classes="over", markup=False, id=f"{key}-label")
    made = TextArea(value, soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True, id=key)
    made.cursor_blink = False
    made.styles.height = height
    yield made


CSS = """
    .dialog { width: 84; height: auto; }
    .field { height: 1; }
    .label { width: 13; color: $muted; text-style: $muted-style; }
    .over { color: $muted; text-style: $muted-style; }
    Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    TextArea, TextArea:focus { border: none; padding: 0 1; background: $panel; }
    #said { height: 2; }
    #said.-wrong { color: $error; }
    #said.-good { color: $success; }
"""
