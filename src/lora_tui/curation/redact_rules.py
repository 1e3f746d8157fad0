"""The table of what must not leave the workspace (rules/secrets.toml), in the form that scanning needs.

A pattern is compiled when its keyword is met for the first time: most are never needed.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

TABLE = Path(__file__).with_name("rules") / "secrets.toml"

_PARTS = {
    # A letter before the n of an escaped line end, or before the D of %3D, is no part of a word.
    "{L}": r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f][0-9A-Fa-f]))",
    "{R}": r"(?![A-Za-z0-9])",
    "{SET}": r"""[\w .(-]{0,30}?\\*["'`]?[\])]?\s*(?:=>|:=|=|:|,)\s*\\*["'`]?""",
}


class Rule(msgspec.Struct, forbid_unknown_fields=True, dict=True):
    """One row of the table; the file's head says what each key means."""

    id: str
    pattern: str
    keywords: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]
    flags: Literal["", "i"] = ""
    loose: bool = False
    before: int = 0
    group: int | str = 0
    entropy: float = 0.0
    check: str = "not_masked"
    kind: Literal["secret", "personal"] = "secret"
    action: Literal["placeholder", "replace", "block"] = "placeholder"
    replacement: str = msgspec.field(default="", name="with")

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern with its named parts filled in."""
        text = self.pattern
        for name, part in _PARTS.items():
            text = text.replace(name, part)
        return re.compile(text, re.ASCII | (re.IGNORECASE if self.flags else 0))


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    rule: list[Rule]


class Active(msgspec.Struct, frozen=True):
    """The rules that are on, by how they are looked for; the first of two in `order` wins."""

    loose: list[tuple[str, list[Rule]]]  # keyword -> rules: searched for in every text
    tight: list[tuple[str, list[Rule]]]  # only where a long run of token characters holds the keyword
    anywhere: list[Rule]  # without a keyword
    order: dict[str, int]


@cache
def table() -> Table:
    """The file, read once."""
    return toml.load(TABLE, Table)


@cache
def active(off: frozenset[str] = frozenset()) -> Active:
    """The rules without those that are switched off."""
    on = [rule for rule in table().rule if rule.id not in off]
    loose: dict[str, list[Rule]] = {}
    tight: dict[str, list[Rule]] = {}
    for rule in on:
        for keyword in rule.keywords:
            (loose if rule.loose else tight).setdefault(keyword, []).append(rule)
    return Active(
        loose=list(loose.items()),
        tight=list(tight.items()),
        anywhere=[rule for rule in on if not rule.keywords],
        order={rule.id: number for number, rule in enumerate(on)},
    )


def switched_off(workspace: Workspace) -> frozenset[str]:
    """The personal rules that config.toml switches off (`[redact] off`). Raises BadInput for any other id."""
    from lora_tui.workspace.config import load_config

    off = frozenset(load_config(workspace).redact.off)
    if not off:
        return off
    kinds = {rule.id: rule.kind for rule in table().rule}
    for name in sorted(off):
        if kinds.get(name) != "personal":
            reason = f"secrets cannot be switched off: {name!r}" if name in kinds else f"there is no rule {name!r}"
            personal = ", ".join(known for known, kind in kinds.items() if kind == "personal")
            raise BadInput(f"redact.off: {reason}", where=str(workspace.config), fix=f"Can be off: {personal}.")
    return off


def stamp(off: frozenset[str]) -> str:
    """What examples were redacted with; another one means that they are looked at anew."""
    return "-".join([str(table().version), *sorted(off)])
