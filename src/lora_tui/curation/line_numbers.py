"""Line numbers that reading tools put before each line: taken off, so that all agents show a file the same way.

The formats: opencode 1.x (`1: line` within <content>) and before (`00001| line` within <file>), opencode 2.x (`1: line`
below "Read file …, lines a-b"), Claude Code (`     1→line`), and `cat -n` (`     1<TAB>line`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

_FORMATS = (
    re.compile(r"(\d{5,})\| ?"),
    re.compile(r"(\d+):(?: |$)"),
    re.compile(r" *(\d+)→"),
    re.compile(r" *(\d+)\t"),
)

# Lines that tools put around a file's content; none of them has a number.
_AROUND = re.compile(
    r"\s*$|</?(?:path|type|content|file)>|<(?:path|type)>.*</(?:path|type)>$"
    r"|\((?:End of file|File has more lines|Showing lines|Output )|Read file .*, lines? "
    r"|\[… [\d,]+ characters left out …\]$"
    r"|(?:Chunk ID|Wall time|Original token count): |Process exited with code \d+$|Output:$"  # Codex
)
# Attached files are told in the user's message, the same way as a tool's output.
_ATTACHED = re.compile(r"Called the Read tool with the following input:")


def without_line_numbers(text: str) -> str:
    """The text without its lines' numbers. Only where every line has one and they count up by one; else unchanged."""
    lines = text.split("\n")
    first = next((position for position, line in enumerate(lines) if not _is_around(line)), None)
    if first is None:
        return text
    for form in _FORMATS:
        found = form.match(lines[first])
        if found:
            bare = _counted(lines, first, int(found[1]), form.match)
            return text if bare is None else "\n".join(bare)
    return text


def _counted(
    lines: list[str], first: int, number: int, match: Callable[[str], re.Match[str] | None]
) -> list[str] | None:
    """The lines without their numbers; None when they do not count up, or a line between or behind has none."""
    bare = lines[:first]
    for position in range(first, len(lines)):
        found = match(lines[position])
        if found is None or int(found[1]) != number:
            behind = lines[position:]
            return bare + behind if all(_is_around(line) for line in behind) else None
        bare.append(lines[position][found.end() :])
        number += 1
    return bare


def _is_around(line: str) -> bool:
    return _AROUND.match(line) is not None or _ATTACHED.match(line) is not None
