"""The table of what must not leave the workspace (rules/secrets.toml), in the form that scanning needs.

A pattern is compiled when its keyword is met for the first time: most are never needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

TABLE = Path(__file__).with_name("rules") / "secrets.toml"

# Many keywords hold one of these: where it does not occur, none of them is searched for.
_GATES = (
    "pass",
    "token",
    "secret",
    "key",
    "auth",
    "-----",
    "cookie",
    "user",
    "$",
    "://",
    "sk_",
    "rk_",
    "xo",
    "hook",
    "home",
)

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
    named: bool = False
    in_runs: bool = False
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


Keywords = list[tuple[str, list[Rule]]]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    words: dict[str, str]
    rule: list[Rule]


class Active(msgspec.Struct, frozen=True):
    """The rules that are on, by how they are looked for; the first of two in `order` wins."""

    loose: list[tuple[str, Keywords]]  # searched for in every text that holds the first literal
    named: Keywords  # … in every text with a long run of token characters and digits
    tight: Keywords  # … in such runs alone
    run_patterns: list[Rule]  # without a keyword, in such runs
    patterns: list[Rule]  # without a keyword
    order: dict[str, int]


@cache
def table() -> Table:
    """The file, read once."""
    return toml.load(TABLE, Table)


@cache
def words(name: str) -> frozenset[str]:
    """One of the file's lists of words."""
    return frozenset(table().words[name].split())


@cache
def active(off: frozenset[str] = frozenset()) -> Active:
    """The rules without those that are switched off."""
    on = [rule for rule in table().rule if rule.id not in off]
    gated: dict[str, Keywords] = {}
    for keyword, rules in _by_keyword(rule for rule in on if rule.loose):
        gate = next((gate for gate in _GATES if gate in keyword), keyword)
        gated.setdefault(gate, []).append((keyword, rules))
    return Active(
        loose=list(gated.items()),
        named=_by_keyword(rule for rule in on if rule.named),
        tight=_by_keyword(rule for rule in on if not (rule.loose or rule.named)),
        run_patterns=[rule for rule in on if not rule.keywords and rule.in_runs],
        patterns=[rule for rule in on if not rule.keywords and not rule.in_runs],
        order={rule.id: number for number, rule in enumerate(on)},
    )


def _by_keyword(rules: Iterable[Rule]) -> Keywords:
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for keyword in rule.keywords:
            found.setdefault(keyword, []).append(rule)
    return list(found.items())


def switched_off(workspace: Workspace) -> frozenset[str]:
    """The personal rules that config.toml switches off (`[redact] off`). Raises BadInput for any other id."""
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
