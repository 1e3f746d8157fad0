"""The table of language evidence (rules/languages.toml), compiled once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules") / "languages.toml"

EITHER = "js/ts"  # evidence that fits JavaScript and TypeScript alike

_INTERPRETER = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+)*)?([a-z][a-z-]*\d?)")


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Points per piece of one kind of evidence, and how many pieces count."""

    points: int
    most: int


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to abstain, and when to be sure."""

    none_below: float
    mixed_below: float
    sure_from: float


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language's rules; `*_yes` and `*_no` are the cases of the tests."""

    extensions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()  # of a script's first line
    fences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # of [either]: which ones it may mean
    named: str = ""
    command: str = ""
    command_needs: tuple[str, ...] = ()
    command_yes: tuple[str, ...] = ()
    command_no: tuple[str, ...] = ()
    output: str = ""
    output_needs: tuple[str, ...] = ()
    output_yes: tuple[str, ...] = ()
    output_no: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    weights: dict[str, Weight]
    thresholds: Thresholds
    documents: tuple[str, ...]
    language: dict[str, Language]
    either: Language


class Search(NamedTuple):
    """What shows a language in a text: search `pattern`, but only where one of the literals `needs` occurs."""

    language: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]

    def find(self, text: str) -> re.Match[str] | None:
        """The first match, if any."""
        for literal in self.needs:
            if literal in text:
                return self.pattern.search(text)
        return None


class Rules(NamedTuple):
    """The table in the form the classifier reads."""

    table: Table
    by_extension: dict[str, str]
    by_name: dict[str, str]
    by_fence: dict[str, str]
    by_interpreter: dict[str, str]
    named: list[tuple[str, re.Pattern[str]]]
    commands: list[Search]
    outputs: list[Search]


@cache
def rules() -> Rules:
    """The compiled table."""
    table = toml.load(TABLE, Table)
    named = [*table.language.items(), (EITHER, table.either)]
    return Rules(
        table=table,
        by_extension={ending: name for name, row in table.language.items() for ending in row.extensions},
        by_name={file: name for name, row in table.language.items() for file in row.names},
        by_fence={tag: name for name, row in table.language.items() for tag in row.fences},
        by_interpreter={word: name for name, row in table.language.items() for word in row.interpreters},
        named=[(name, re.compile(row.named)) for name, row in named if row.named],
        commands=[Search(name, row.command_needs, re.compile(row.command, re.M)) for name, row in named if row.command],
        outputs=[Search(name, row.output_needs, re.compile(row.output, re.M)) for name, row in named if row.output],
    )


def language_of_path(path: str) -> str:
    """The language a file's name or ending stands for; empty when none."""
    found = rules()
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    by_name = found.by_name.get(name)
    if by_name:
        return by_name
    return found.by_extension.get(name.rsplit(".", 1)[1], "") if "." in name else ""


def has_ending(path: str) -> bool:
    """Whether a file's name says by an ending what it is; scripts often have none."""
    return "." in path.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")


def language_of_script(text: str) -> str:
    """The language of a script by its first line (`#!/usr/bin/env ruby`); empty when it has none or it is unknown."""
    found = _INTERPRETER.match(text)
    return rules().by_interpreter.get(found[1], "") if found else ""
