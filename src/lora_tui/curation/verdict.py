"""The language of a segment as the machine sees it, and why."""

from __future__ import annotations

from collections import Counter

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """One kind of evidence for one language: `detail` is what a person reads, `weight` the points it brought."""

    language: str
    kind: str  # edited, command, output, fence, looks, named, read
    detail: str
    weight: float


class Verdict(msgspec.Struct, frozen=True):
    """The machine's label: a language, 'none' (too little evidence) or 'mixed' (no language leads clearly)."""

    language: str
    confidence: float  # share of the leading language's points, 0 when there is too little evidence
    sure: bool  # leading clearly, by two kinds of evidence or more
    shares: dict[str, float]
    evidence: list[Evidence]  # heaviest first
    opinion: str = ""  # the language that the written code looks like; '' when that cannot be told


def in_words(kind: str, count: int, details: Counter[str]) -> str:
    """What a person reads of one kind of evidence: how many pieces, and the two most frequent."""
    found = details.most_common(2)
    if kind in ("edited", "read"):
        shown = ", ".join(detail for detail, _ in found)
    else:
        shown = ", ".join(f"{detail} ×{times}" if times > 1 else detail for detail, times in found)
    match kind:
        case "edited":
            return f"{count} edit{'s' if count > 1 else ''} of {shown}"
        case "read":
            return f"{count} path{'s' if count > 1 else ''} seen: {shown}"
        case "command":
            return f"{count} command{'s' if count > 1 else ''}: {shown}"
        case "output":
            return f"{count} output{'s' if count > 1 else ''}: {shown}"
        case "fence":
            return f"{count} code block{'s' if count > 1 else ''}: {shown}"
        case "looks":
            return f"the written code looks like {shown}"
        case _:
            return f"the request says {shown}"
