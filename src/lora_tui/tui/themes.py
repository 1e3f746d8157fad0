"""Themes are TOML files: the shipped ones in themes/, a person's own in <workspace>/themes/.

Textual checks no colour when a theme is registered and dies when it is used, so every value is parsed here first.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from textual.color import Color, ColorParseError
from textual.theme import Theme

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.resources import shipped

DEFAULT = "lora-dark"
WITHOUT_COLOUR = "lora-ansi"

# What a theme may leave out: the names our stylesheets use beyond Textual's own.
VARIABLE_DEFAULTS = {
    "muted": "#808080",
    "muted-style": "none",
    "faint": "#606060",
    "bar": "#303030",
    "ansi-background": "ansi_default",  # Textual's own stylesheets ask an ansi theme for these two
    "ansi-foreground": "ansi_default",
    "code-keyword": "#b294bb",
    "code-string": "#8abe8a",
    "code-number": "#d08f6a",
    "code-name": "#81a2be",
}

_STYLE_WORDS = {"none", "bold", "dim", "italic", "reverse", "strike", "underline", "underline2", "not"}


class Colors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[colors] of a theme file: names, #rrggbb, or ansi_… for the terminal's own."""

    primary: str
    secondary: str | None = None
    accent: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None
    boost: str | None = None


class ThemeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One theme file; [variables] are Textual's CSS variables and those in VARIABLE_DEFAULTS."""

    name: str
    colors: Colors
    dark: bool = True
    ansi: bool = False
    variables: dict[str, str] = {}


def load_themes(workspace: Workspace) -> tuple[list[Theme], list[LoraTuiError]]:
    """Every usable theme, and one error for each file that is not; a person's own wins over a shipped one."""
    themes: dict[str, Theme] = {}
    errors: list[LoraTuiError] = []
    for folder in (shipped("themes"), workspace.root / "themes"):
        for path in sorted(folder.glob("*.toml")):
            try:
                theme = read_theme(path)
                themes[theme.name] = theme
            except LoraTuiError as error:
                errors.append(error)
    return list(themes.values()), errors


def read_theme(path: Path) -> Theme:
    """One theme file. Raises BadInput naming the key whose value is no colour."""
    file = toml.load(path, ThemeFile)
    given = {key: value for key, value in msgspec.structs.asdict(file.colors).items() if value is not None}
    for key, value in given.items():
        _check(path, f"colors.{key}", value, styles=False)
    for key, value in file.variables.items():
        _check(path, f"variables.{key}", value, styles=key.endswith("-style"))
    return Theme(name=file.name, dark=file.dark, ansi=file.ansi, variables=dict(file.variables), **given)


def _check(path: Path, key: str, value: str, *, styles: bool) -> None:
    if styles:
        wrong = [word for word in value.split() if word not in _STYLE_WORDS]
        if wrong or not value.strip():
            raise BadInput(f"{key}: {value!r} is no text style", where=str(path), fix="For example 'bold' or 'none'.")
        return
    try:
        Color.parse(re.sub(r"\s+\d+(\.\d+)?%$", "", value.strip()))
    except ColorParseError as error:
        raise BadInput(
            f"{key}: {value!r} is no colour", where=str(path), fix="Write '#rrggbb', a CSS colour name, or 'ansi_red'."
        ) from error
