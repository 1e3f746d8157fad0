"""The table of what says how work went (rules/outcome.toml), compiled once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules") / "outcome.toml"

Cases = tuple[str, ...]


class CheckRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of check: tests, build, lint."""

    decides: bool
    command: str
    command_yes: Cases
    command_no: Cases
    passed: str
    passed_yes: Cases
    passed_no: Cases
    failed: str
    failed_yes: Cases
    failed_no: Cases


class CommitRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A commit made by a command."""

    command: str
    command_yes: Cases
    command_no: Cases
    failed: str
    failed_yes: Cases
    failed_no: Cases


class FailingRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that went wrong, by what it printed."""

    output: str
    output_yes: Cases
    output_no: Cases
    invalid: str
    invalid_yes: Cases
    invalid_no: Cases
    harmless: str
    harmless_yes: Cases
    harmless_no: Cases
    not_run_exit: tuple[int, ...]
    not_run: str
    not_run_yes: Cases
    not_run_no: Cases


class WordsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the words of a turn mean."""

    complaint: str
    complaint_yes: Cases
    complaint_no: Cases
    undo: str
    undo_yes: Cases
    undo_no: Cases
    continuing: str
    continuing_yes: Cases
    continuing_no: Cases
    interruption: str
    interruption_yes: Cases
    interruption_no: Cases
    refusal: str
    refusal_yes: Cases
    refusal_no: Cases


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    check: dict[str, CheckRow]
    commit: CommitRow
    failing: FailingRow
    words: WordsRow


class Check(NamedTuple):
    """One kind of check, compiled."""

    name: str
    decides: bool
    command: re.Pattern[str]
    passed: re.Pattern[str]
    failed: re.Pattern[str]


class Rules(NamedTuple):
    """The table in the form that is used."""

    version: int
    checks: tuple[Check, ...]
    commit: re.Pattern[str]
    commit_failed: re.Pattern[str]
    failing: re.Pattern[str]
    invalid: re.Pattern[str]
    harmless: re.Pattern[str]
    not_run_exit: frozenset[int]
    not_run: re.Pattern[str]
    complaint: re.Pattern[str]
    undo: re.Pattern[str]
    continuing: re.Pattern[str]
    interruption: re.Pattern[str]
    refusal: re.Pattern[str]


@cache
def table() -> Table:
    """The table as it is written."""
    return toml.load(TABLE, Table)


@cache
def rules() -> Rules:
    """The compiled table."""
    found = table()
    return Rules(
        version=found.version,
        checks=tuple(
            Check(
                name, row.decides, re.compile(row.command), re.compile(row.passed, re.M), re.compile(row.failed, re.M)
            )
            for name, row in found.check.items()
        ),
        commit=re.compile(found.commit.command),
        commit_failed=re.compile(found.commit.failed, re.M),
        failing=re.compile(found.failing.output, re.I),
        invalid=re.compile(found.failing.invalid, re.I),
        harmless=re.compile(found.failing.harmless),
        not_run_exit=frozenset(found.failing.not_run_exit),
        not_run=re.compile(found.failing.not_run),
        complaint=re.compile(found.words.complaint, re.I),
        undo=re.compile(found.words.undo, re.I),
        continuing=re.compile(found.words.continuing, re.I),
        interruption=re.compile(found.words.interruption),
        refusal=re.compile(found.words.refusal, re.I),
    )
