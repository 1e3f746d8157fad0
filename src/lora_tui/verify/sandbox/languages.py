"""How code of each language is run and tested: `languages.toml` as structs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

_TABLE = Path(__file__).with_name("languages.toml")


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a program is asked about itself, outside the sandbox."""

    home: tuple[str, ...] = ()
    version: tuple[str, ...] = ()


class Main(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is added to an answer that has no entry point."""

    pattern: str  # of an entry point
    otherwise: str


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to run a language, with the programs that it needs."""

    programs: tuple[str, ...]
    code: dict[str, str]  # file name -> its text
    run: tuple[str, ...]
    tests: dict[str, str]
    test: tuple[str, ...]
    passed: str  # pattern in the output of tests that were all run and passed
    at_least: dict[str, str] = {}
    main: Main | None = None
    compile: tuple[str, ...] = ()
    compile_tests: tuple[str, ...] = ()

    def files(self, code: str, tests: str | None, done: str) -> dict[str, str]:
        """The files to write, by name; `tests` None: the code alone."""
        if tests is None and self.main and not re.search(self.main.pattern, code):
            code = f"{code}\n{self.main.otherwise}"
        parts = {"{code}": code, "{tests}": tests or "", "{done}": done}
        # One pass: braces inside an answer are the answer's.
        fill = re.compile("|".join(map(re.escape, parts)))
        chosen = self.code if tests is None else self.tests
        return {name: fill.sub(lambda found: parts[found[0]], text) for name, text in chosen.items()}


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Right code with its tests: programs that cannot run it say nothing about an answer."""

    code: str
    tests: str


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language: its ways in the order of preference, and the container image that has them."""

    image: str
    sample: Sample
    ways: tuple[Way, ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    programs: dict[str, Program]
    languages: dict[str, Language]


@cache
def table() -> Table:
    """The shipped table."""
    return msgspec.toml.decode(_TABLE.read_bytes(), type=Table)
