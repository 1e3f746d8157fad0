"""Which of the programs that a language needs are here, and where they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import msgspec

from lora_tui.verify.sandbox.languages import Language, Program, Way, table
from lora_tui.verify.sandbox.paths import may_be_shown, within_system

_SECONDS = 20


class Toolchain(msgspec.Struct, frozen=True):
    """A way to run a language whose programs are all here."""

    way: Way
    programs: dict[str, str]  # name -> path
    homes: tuple[Path, ...]  # to show in the sandbox besides the system's own folders

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """`argv` with the full path of its program."""
        return (self.programs.get(argv[0], argv[0]), *argv[1:])


def toolchain(language: str) -> Toolchain | str:
    """The first way whose programs are here, or why there is none. Asks programs of the host, never generated code.

    Raises KeyError for a language that is not in the table.
    """
    return _toolchain(language, os.environ.get("PATH", ""))


@lru_cache(maxsize=32)
def _toolchain(language: str, path: str) -> Toolchain | str:
    reasons = []
    for way in table().languages[language].ways:
        found = _way(way)
        if isinstance(found, Toolchain):
            return found
        reasons.append(found)
    return "; ".join(reasons)


def in_image(language: Language) -> Toolchain:
    """The first way, with the programs that the language's container image has."""
    return Toolchain(language.ways[0], {}, ())


def _way(way: Way) -> Toolchain | str:
    programs, homes = {}, []
    for name in way.programs:
        path = shutil.which(name)
        if path is None:
            return f"there is no {name} on PATH"
        asked = table().programs.get(name, Program())
        wanted = way.at_least.get(name)
        if wanted and _numbers(version := _answer(asked.version)) < _numbers(wanted):
            return f"{name} {version.lstrip('v')} is older than {wanted}"
        said = _answer(asked.home)
        if asked.home and not said:
            return f"{name} does not answer `{' '.join(asked.home)}`"
        home = Path(said or Path(path).resolve().parent.parent)
        program = home / "bin" / name
        programs[name] = str(program if program.exists() else Path(path).resolve())
        if within_system(home):
            continue
        if not may_be_shown(home):
            return f"{name} is installed in {home}, which holds more than programs"
        homes.append(home)
    return Toolchain(way, programs, tuple(dict.fromkeys(homes)))


def _answer(command: tuple[str, ...]) -> str:
    if not command:
        return ""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
