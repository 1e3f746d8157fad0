"""What a read tool showed of a file, without what the agent put around it.

Formats: opencode 1.x (`1: line` inside <content>, before 1.2 `00001| line` inside <file>), opencode 2.x (a first line
"Read file …", then `1: line`), Claude Code (`1<tab>line`, earlier `     1→line`), and the bare text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_INSIDE = re.compile(r"<(content|file)>\n(.*?)\n?</\1>", re.S)
_V2_HEAD = re.compile(r"\ARead file .+, lines \d+-\d+.*\n")
_REMINDERS = re.compile(r"(?:\n*<system-reminder>(?:(?!<system-reminder>).)*</system-reminder>\s*)+\Z", re.S)
_NUMBERED = re.compile(r"\s*(\d+)(?:: ?|\t|→|\| ?)")
_FOOT = re.compile(r"\((?:End of file|File has more lines|Output |Showing lines)[^\n]*\)\s*\Z")


class Shown(NamedTuple):
    """Some lines of a file, each with its end of line."""

    text: str
    start: int  # number of the first line
    whole: bool  # nothing of the file is missing


def bare(text: str, *, start: int, part: bool) -> Shown | None:
    """Lines that were given as they are, from line `start`; `part`: the call asked for some lines only."""
    return Shown(_ended(text), start, not part) if text else None


def shown(output: str, *, start: int = 1, part: bool = False) -> Shown | None:
    """The lines a read gave; None when there are none (a folder, a picture, an error in words).

    start: the first line that the call asked for, where the output does not number them; part: it asked for some only.
    """
    text = _REMINDERS.sub("", output)
    if (inside := _INSIDE.search(text)) is not None:
        text = inside[2]
    elif "<type>directory</type>" in text or "<entries>" in text:
        return None
    text = _V2_HEAD.sub("", text)
    foot = _FOOT.search(text)
    if foot is not None:
        text = text[: foot.start()].rstrip("\n")
    if not text.strip():
        return None
    lines = text.split("\n")
    first = _NUMBERED.match(lines[0])
    own = _without_numbers(lines, int(first[1])) if first is not None else None
    if first is None or own is None:
        return bare(text, start=start, part=part)
    more = foot is not None and not foot[0].startswith("(End of file")
    whole = int(first[1]) == 1 and not more and not (part and foot is None)
    if own[-1] or not first[0].endswith(("\t", "→")):
        own.append("")  # Claude Code numbers the empty text after the last line's end, the others do not
    return Shown("\n".join(own), int(first[1]), whole)


def _without_numbers(lines: list[str], start: int) -> list[str] | None:
    """The lines without their numbers; None when they are not numbered one by one: the digits belong to the text."""
    own: list[str] = []
    for number, line in enumerate(lines, start=start):
        found = _NUMBERED.match(line)
        if found is None or int(found[1]) != number:
            return None
        own.append(line[found.end() :])
    return own


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"
