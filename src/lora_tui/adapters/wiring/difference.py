"""A plan's changes as a unified diff that `patch` takes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from lora_tui.adapters.wiring.plan import Change

_NOTHING = "/dev/null"
_SECRET = re.compile(
    r"""(["']?[\w-]*(?:key|token|secret|password|authorization)["']?\s*:\s*["'])(?!\{(?:env|file):)([^"'\r\n]+)""", re.I
)


def unified(changes: Sequence[Change], *, hide: bool = True) -> str:
    """Every file whose bytes change, "" for none. hide: the values of keys and tokens near a change are not shown."""
    return "".join(_one(change, hide) for change in changes if change.is_one)


def _one(change: Change, hide: bool) -> str:
    name = change.touched.target
    lines = difflib.unified_diff(
        _lines(change.current),
        _lines(change.after),
        _NOTHING if change.current is None else name,
        _NOTHING if change.after is None else name,
    )
    shown = []
    for number, line in enumerate(lines):
        if number < 2 and any(c.isspace() for c in name):
            line = line.rstrip("\n") + "\t\n"  # a name with spaces ends in a tab, as GNU diff writes it
        shown.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    text = "".join(shown)
    return _SECRET.sub(r"\1<hidden>", text) if hide else text


def _lines(data: bytes | None) -> list[str]:
    if not data:
        return []
    return [part + "\n" for part in data.decode(errors="replace").split("\n")[:-1]] + (
        [] if data.endswith(b"\n") else [data.decode(errors="replace").rpartition("\n")[2]]
    )
