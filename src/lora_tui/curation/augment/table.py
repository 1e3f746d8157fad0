"""The table of limits and texts (rules/augment.toml), compiled once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).parents[1] / "rules" / "augment.toml"

Kind = Literal["implement", "fix", "refactor", "test"]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What code is taken, and when a request is good enough; the table says what each one means."""

    lines_least: int
    lines_most: int
    tokens_least: int
    file_characters: int
    mean_line: int
    longest_line: int
    files_most: int
    window: int
    context_characters: int
    context_definition: int
    leak_tokens: int
    names_missing: int
    fit_least: int
    similar: float
    human_percent: int
    tries: int
    request_words_least: int
    request_words_most: int


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the model is asked."""

    temperature: float
    max_tokens: int
    rating_max_tokens: int
    attempts: int
    retry_seconds: float
    timeout_seconds: float
    characters_per_token: float
    request_tokens: int
    rating_tokens: int


class Tests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns that tell tests."""

    path: str
    path_yes: tuple[str, ...]
    path_no: tuple[str, ...]
    affix: str
    names: str
    attributes: str
    modules: str

    def is_test_file(self, path: str) -> bool:
        """Whether a file holds tests, by its path."""
        return bool(re.search(self.path, path))


class Commits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a subject says a commit is."""

    fix: str
    fix_yes: tuple[str, ...]
    fix_no: tuple[str, ...]
    refactor: str
    refactor_yes: tuple[str, ...]
    refactor_no: tuple[str, ...]

    def kind(self, subject: str) -> Kind | None:
        """The kind of request that a commit answers, if its subject says so."""
        if re.search(self.refactor, subject, re.I):
            return "refactor"
        return "fix" if re.search(self.fix, subject, re.I) else None


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model is told that writes the request."""

    system: str
    implement: str
    test: str
    fix: str
    refactor: str
    again: str


class Rating(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model is told that judges it."""

    system: str
    again: str


class Offline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests without a model."""

    documented: tuple[str, ...]
    bare: tuple[str, ...]
    test: tuple[str, ...]
    fix: tuple[str, ...]
    refactor: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    limits: Limits
    asking: Asking
    tests: Tests
    commits: Commits
    names: dict[str, frozenset[str]]
    platform: dict[str, str]
    prompt: Prompt
    rating: Rating
    offline: Offline

    def is_given(self, language: str, name: str) -> bool:
        """Whether a name belongs to the language or its platform: no request has to bring it."""
        pattern = self.platform.get(language)
        return name in self.names.get(language, ()) or (pattern is not None and bool(re.match(pattern, name)))


@cache
def table() -> Table:
    """The table as shipped."""
    return toml.load(TABLE, Table)
