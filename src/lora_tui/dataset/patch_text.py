"""Codex' patch format ("*** Begin Patch"), as its apply_patch tool and opencode's take it.

Format: github.com/openai/codex, codex-rs/apply-patch: `*** Update File: P` with hunks that begin with `@@`, lines that
begin with a space, - or +; `*** Add File: P` with + lines; `*** Delete File: P`; `*** Move to: P` after an update.
"""

from __future__ import annotations

from typing import NamedTuple


class Hunk(NamedTuple):
    """Lines to find (context and removed ones) and what stands there afterwards; both with line ends."""

    old: str
    new: str


class FilePatch(NamedTuple):
    """What a patch does to one file."""

    path: str
    kind: str  # 'update', 'add', 'delete' or 'move'
    hunks: tuple[Hunk, ...]


_HEADS = {"*** Update File: ": "update", "*** Add File: ": "add", "*** Delete File: ": "delete"}


def parse(text: str) -> list[FilePatch]:
    """The files of a patch; none when it is no patch."""
    found: list[FilePatch] = []
    path, kind = "", ""
    old: list[str] = []
    new: list[str] = []
    hunks: list[Hunk] = []

    def end_hunk() -> None:
        if old != new:
            hunks.append(Hunk("".join(old), "".join(new)))
        old.clear()
        new.clear()

    def end_file() -> None:
        end_hunk()
        if path:
            found.append(FilePatch(path, kind, tuple(hunks)))
        hunks.clear()

    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for line in lines:
        head = next((head for head in _HEADS if line.startswith(head)), "")
        if head:
            end_file()
            path, kind = line[len(head) :].strip(), _HEADS[head]
        elif line.startswith("*** Move to: "):
            kind = "move"
        elif line.startswith("*** "):
            continue
        elif line.startswith("@@"):
            end_hunk()
        elif line.startswith("+"):
            new.append(line[1:] + "\n")
        elif line.startswith("-"):
            old.append(line[1:] + "\n")
        elif path and kind != "add":
            for side in (old, new):
                side.append(line[1:] + "\n")
    end_file()
    return found
