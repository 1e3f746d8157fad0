"""The pieces of a row that are compared with other rows: what is asked, what is answered, each file that is written.

A file's piece is how it reads after the edit, with three lines around where the row shows the file: two edits of one
place are alike then, even where each changes one line. Files that a request shows are no piece: they are what the
next commit starts from.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, Literal, NamedTuple

import msgspec

from lora_tui.curation import code_blocks
from lora_tui.dataset import patch_text
from lora_tui.dataset.blocks import blocks
from lora_tui.dataset.model import Row

Kind = Literal["code", "request", "answer"]

_AROUND = 3  # lines, as `git diff` shows
_CONTENT = ("content", "newString", "new_string", "newText", "new_str", "file_text", "contents")
_OLD = ("oldString", "old_string", "oldText", "old_str")
_PATCH = ("patchText", "patch", "input", "diff")
_PATH = ("filePath", "file_path", "path")
_SHOWN = re.compile(
    r"^`(?P<path>[^`\n]+)`(?: \(part \d+ of \d+\))?\n(?P<fence>```+)[^\n]*\n(?P<code>.*?)^(?P=fence)", re.M | re.S
)
_DIFF_FILE = re.compile(r"^\+\+\+ (?:b/)?([^\t\n]+)")


class Piece(NamedTuple):
    """Pieces of one kind are compared with each other."""

    kind: Kind
    text: str


_latest: tuple[Row, list[Piece]] | None = None  # a row is held against suites and compared with others, in turn


def pieces(row: Row) -> list[Piece]:
    """What the row says, taken apart; of the assistant only what is trained on."""
    global _latest
    known = _latest
    if known is None or known[0] is not row:
        known = _latest = row, _taken_apart(row)
    return list(known[1])


def _taken_apart(row: Row) -> list[Piece]:
    asked, answered = [], []
    shown: dict[str, list[str]] = defaultdict(list)
    files: dict[str, list[str]] = defaultdict(list)
    for message in row.messages:
        if message.role == "user":
            for file in _SHOWN.finditer(message.content):
                shown[file["path"]].append(file["code"])
            asked.append(_words(message.content))
        elif message.role == "assistant" and message.weight:
            answered.append(message.content)
            for path, text in _in_text(message.content, shown):
                files[path].append(text)
            for call in message.tool_calls:
                for path, text in _in_call(call.function.arguments):
                    files[path].append(text)
                    answered.append(text)
    found = [Piece("code", "\n".join(texts)) for texts in files.values()]
    found.append(Piece("request", "\n".join(asked)))
    return [*found, Piece("answer", "\n".join(answered))]


def _words(text: str) -> str:
    """A request without the files it shows."""
    return code_blocks.left_out(_SHOWN.sub("", text)).strip()


def _in_text(text: str, shown: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """The files an answer writes; a fenced block without a file is one by itself."""
    edits = blocks(text)
    before = {path: list(parts) for path, parts in shown.items()}
    after = {path: list(parts) for path, parts in shown.items()}
    for edit in edits:
        parts = after.get(edit.path, [])
        at = next((at for at, part in enumerate(parts) if edit.old and edit.old in part), None)
        if at is None:
            yield edit.path, _changed(edit.old, edit.new)
        else:
            parts[at] = parts[at].replace(edit.old, edit.new, 1)
    for path, parts in after.items():
        for old, new in zip(before[path], parts, strict=True):
            if old != new:
                yield path, _changed(old, new)
    if edits:
        return
    for number, (tag, code) in enumerate(code_blocks.of(text)):
        if tag == "diff":
            yield from _in_diff(code)
        else:
            yield f"\0{number}", code


def _changed(old: str, new: str) -> str:
    """The new text where it is not the old one, with the lines around: what a diff's hunks show of it."""
    before, after = old.splitlines(), new.splitlines()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    end = min(len(before), len(after)) - same
    tail = sum(
        1
        for _ in takewhile(
            lambda pair: pair[0] == pair[1], islice(zip(reversed(before), reversed(after), strict=False), end)
        )
    )
    matcher = difflib.SequenceMatcher(None, before[same : len(before) - tail], after[same : len(after) - tail], False)
    changes = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    kept: set[int] = set()
    ends = [(-same, -same, -same, -same), *changes, (len(before) - same, 0, len(after) - same, 0)]
    for (_, a_top, _, b_top), (a0, a1, b0, b1), (a_bottom, _, b_bottom, _) in zip(
        ends, changes, ends[2:], strict=False
    ):
        step = 0
        if a0 == a1:
            step = _moved(after, same + b0, same + b1, same + b_top, same + b_bottom)
        elif b0 == b1:
            step = _moved(before, same + a0, same + a1, same + a_top, same + a_bottom)
        kept.update(range(same + b0 + step - _AROUND, same + b1 + step + _AROUND))
    return "\n".join(line for at, line in enumerate(after) if at in kept)


def _moved(lines: Sequence[str], first: int, last: int, top: int, bottom: int) -> int:
    """How far git would show added or removed lines from `first` on: the same change reads the same at several places.

    The lowest place where the run ends with a blank line, as after a whole method; without one the lowest of all.
    """
    low = high = 0
    while first + low > top and lines[first + low - 1] == lines[last + low - 1]:
        low -= 1
    while last + high < bottom and lines[first + high] == lines[last + high]:
        high += 1
    places = range(high, low - 1, -1)
    return next((step for step in places if not lines[last + step - 1].strip()), high)


def _in_diff(text: str) -> Iterator[tuple[str, str]]:
    path, lines = "\0", list[str]()
    for line in text.split("\n"):
        if named := _DIFF_FILE.match(line):
            if lines:
                yield path, "\n".join(lines)
            path, lines = named[1], []
        elif line.startswith(("+", " ")):
            lines.append(line[1:])
    if lines:
        yield path, "\n".join(lines)


def _in_call(arguments: str) -> Iterator[tuple[str, str]]:
    """The files a tool call writes, by the names that agents give to paths and contents."""
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError):
        return
    if isinstance(given, dict):
        path = next((given[name] for name in _PATH if isinstance(given.get(name), str)), "\0")
        yield from _written(path, given)


def _written(path: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    old = next((given[name] for name in _OLD if isinstance(given.get(name), str)), "")
    for name in _CONTENT:
        if isinstance(given.get(name), str):
            yield path, _changed(old, given[name]) if old else given[name]
    for name in _PATCH:
        if isinstance(given.get(name), str):
            for file in patch_text.parse(given[name]):
                yield file.path, "".join(hunk.new for hunk in file.hunks)
    edits = given.get("edits")
    for edit in edits if isinstance(edits, list) else ():
        if isinstance(edit, dict):
            yield from _written(path, edit)
