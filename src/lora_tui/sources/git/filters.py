"""The table of filters (filters.toml): which rules there are, which are on, and what they look for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput

TABLE = Path(__file__).with_name("filters.toml")


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File endings without the dot, what begins a line that is only a comment, and how a definition begins."""

    extensions: tuple[str, ...]
    comments: tuple[str, ...]
    definition: str = ""  # matched at the start of a line, behind its indentation; '' without a grammar to prove it
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reason to leave a commit out."""

    id: str
    what: str
    on: bool = True
    drops: bool = True  # False: it changes what another rule does
    pattern: str = ""
    needs: tuple[str, ...] = ()  # literals in lower case, one of which every match contains
    limits: dict[str, int] = {}
    languages: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A licence by the phrases of its text."""

    id: str
    phrases: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    language: dict[str, Language]
    rule: tuple[Rule, ...]
    licence: tuple[Licence, ...]


@cache
def table() -> Table:
    """The table as shipped."""
    return toml.load(TABLE, Table)


class Filters:
    """The rules that are on, ready to be asked.

    Raises BadInput for a rule or a language that the table does not have.
    """

    def __init__(self, languages: Sequence[str] = (), on: Sequence[str] = (), off: Sequence[str] = ()) -> None:
        rows = table()
        rules = {rule.id: rule for rule in rows.rule}
        for name in (*on, *off):
            if name not in rules:
                raise BadInput(f"there is no rule {name!r}", fix="See them with: lora-tui mine --rules.")
        for name in languages:
            if name not in rows.language:
                raise BadInput(f"cannot mine the language {name!r}", fix=f"Known: {', '.join(rows.language)}.")
        both = set(on) & set(off)
        if both:
            raise BadInput(f"the rule {min(both)!r} is given with --with and with --without")
        self.languages = tuple(sorted(set(languages) or set(rows.language)))
        self.order = tuple(rule.id for rule in rows.rule if rule.drops)
        self.on = frozenset(rule.id for rule in rows.rule if (rule.on or rule.id in on) and rule.id not in off)
        self.by_extension = {
            ending.encode(): name for name in self.languages for ending in rows.language[name].extensions
        }
        self.comments = {name: tuple(mark.encode() for mark in rows.language[name].comments) for name in self.languages}
        self.limits = {rule.id: rule.limits for rule in rows.rule}
        self.parsed = frozenset(rules["parses"].languages)
        self._needs = {rule.id: rule.needs for rule in rows.rule}
        self.patterns = {rule.id: pattern(rule) for rule in rows.rule if rule.pattern}

    def text(self, rule: str) -> re.Pattern[str] | None:
        """The pattern of a rule, None where the rule is off."""
        return self.patterns[rule] if rule in self.on else None

    def may_match(self, rule: str, lowered: str) -> bool:
        """Whether a text (in lower case) is worth searching with the rule's pattern."""
        return any(literal in lowered for literal in self._needs[rule])

    def key(self) -> str:
        """The same for settings that keep the same commits."""
        said = "\n".join((str(table().version), *self.languages, "", *sorted(self.on)))
        return hashlib.blake2b(said.encode(), digest_size=6).hexdigest()


@cache
def definition_pattern(language: str) -> re.Pattern[bytes]:
    """How a line begins that defines something; matches nothing for a language without such a rule."""
    found = table().language.get(language)
    return re.compile(found.definition.encode() if found and found.definition else rb"(?!)")


def pattern(rule: Rule) -> re.Pattern[str]:
    """A rule's pattern as it is searched; `^` and `$` hold for every line."""
    return re.compile(rule.pattern, re.IGNORECASE | re.MULTILINE)
