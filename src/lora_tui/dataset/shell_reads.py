"""Files that were read through the shell: agents without a read tool say `cat FILE` or `sed -n '1,80p' FILE`."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from lora_tui.dataset.read_output import Shown, shown

# Codex: "…Process exited with code 0\n…Output:\n<text>"
_CODEX_HEAD = re.compile(r"\A(?:.*\n){0,8}?Output:\n")
_LINES = re.compile(r"(\d+),(\d+)p")
_JOINED = re.compile(r"[|&;<>$`*?\n]")  # more than one plain command


class FileRead(NamedTuple):
    """A file's lines."""

    path: str
    seen: Shown


def file_read_by(command: str, output: str) -> FileRead | None:
    """The file a command printed, if printing one file is all it did."""
    if _JOINED.search(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    start, part = 1, False
    match words:
        case ["cat", path] | ["cat", "-n", path] | ["nl", "-ba", path]:
            pass
        case ["sed", "-n", lines, path] if found := _LINES.fullmatch(lines):
            start, part = int(found[1]), True
        case _:
            return None
    seen = shown(_CODEX_HEAD.sub("", output, count=1), start=start, part=part)
    return FileRead(path, seen) if seen is not None else None
