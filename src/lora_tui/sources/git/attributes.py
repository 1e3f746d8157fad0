"""What a repository itself says is generated or vendored: `linguist-generated` and `linguist-vendored`."""

from __future__ import annotations

import re
from collections.abc import Callable

_NAMES = ("linguist-generated", "linguist-vendored")


def left_out(attributes: str) -> Callable[[str], bool]:
    """Whether a path is generated or vendored by the root .gitattributes; the last line that speaks of it counts."""
    lines: list[tuple[re.Pattern[str], dict[str, bool]]] = []
    for line in attributes.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(("#", "[attr]")):
            continue
        said = {name: value for word in words[1:] for name, value in [_said(word)] if name in _NAMES}
        if said:
            lines.append((_glob(words[0]), said))

    def asked(path: str) -> bool:
        state: dict[str, bool] = {}
        for pattern, said in lines:
            if pattern.match(path):
                state |= said
        return any(state.values())

    return asked if lines else lambda path: False


def _said(word: str) -> tuple[str, bool]:
    if word.startswith(("-", "!")):
        return word[1:], False
    name, _, value = word.partition("=")
    return name, value.lower() not in ("false", "0", "no")


def _glob(pattern: str) -> re.Pattern[str]:
    """A gitattributes pattern; without a slash it holds for the name in any folder."""
    anchored = "/" in pattern.rstrip("/")
    out = []
    rest = pattern.strip('"').lstrip("/")
    while rest:
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            rest = rest[3:]
        elif rest.startswith("**"):
            out.append(".*")
            rest = rest[2:]
        elif rest[0] == "*":
            out.append("[^/]*")
            rest = rest[1:]
        elif rest[0] == "?":
            out.append("[^/]")
            rest = rest[1:]
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            inside = rest[1:end].replace("\\", "\\\\")
            out.append(f"[{'^' + inside[1:] if inside[0] == '!' else inside}]")
            rest = rest[end + 1 :]
        else:
            out.append(re.escape(rest[0]))
            rest = rest[1:]
    try:
        return re.compile(("" if anchored else "(?:.*/)?") + "".join(out) + r"\Z", re.DOTALL)
    except re.error:
        return re.compile(r"(?!)")
