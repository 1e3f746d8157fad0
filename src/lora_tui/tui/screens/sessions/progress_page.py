"""How far labelling is, in words: each profile's target, today's pace, and how consistent the answers are."""

from __future__ import annotations

from collections.abc import Iterator

from lora_tui.curation import agreement, progress
from lora_tui.curation.agreement import NEEDED, Scale
from lora_tui.curation.progress import Pace, Progress
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.wording import duration, many
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths

_BAR = 20  # cells


def page(workspace: Workspace, author: str) -> str:
    """The whole page. A profile that cannot be read is left out: its own screen says why."""
    lines: list[str] = []
    pace: Pace | None = None
    for name in profile_paths(workspace):
        try:
            data = load_profile(workspace, name).data
        except LoraTuiError:
            continue
        if not (data.target or data.targets):
            continue
        found = progress.progress(workspace, data, author=author)
        pace = found.pace
        lines += _profile(name, found)
    pace = pace or progress.pace(workspace, author, progress.midnight())
    return "\n".join([*lines, *([""] if lines else []), _today(pace), "", *_consistency(workspace, author)])


def _profile(name: str, found: Progress) -> Iterator[str]:
    stands = _against(found.accepted, found.target, found.seconds_left)
    yield f"{fit(name, 16)}{stands}  {found.unlabelled:,} to look at"
    for item in found.languages:
        if item.target:
            yield f"  {fit(item.language, 14)}{_against(item.accepted, item.target, item.seconds_left)}"


def _against(accepted: int, target: int, seconds_left: float | None) -> str:
    filled = min(_BAR, round(_BAR * accepted / target)) if target else 0
    bar = "█" * filled + "·" * (_BAR - filled)
    rest = "" if accepted >= target else f"  {duration(seconds_left)}" if seconds_left is not None else ""
    return f"{bar} {accepted:>5,} of {target:,}{rest}"


def _today(pace: Pace) -> str:
    if pace.per_hour is None:
        return f"Today: {many(pace.decisions, 'decision')}; too few for a pace."
    bulk = f", and {pace.bulk:,} in bulk" if pace.bulk else ""
    return f"Today: {pace.decisions:,} decisions in {duration(pace.seconds)}, {pace.per_hour:.0f} an hour{bulk}."


def _consistency(workspace: Workspace, author: str) -> Iterator[str]:
    own = agreement.consistency(workspace, author)
    if own.asked:
        yield f"Asked again, you answered the same {own.same} of {own.asked} times."
    else:
        yield "No question was asked you again yet; a queue mixes in a few."
    for other in agreement.authors(workspace):
        if other != author:
            found = agreement.agreement(workspace, author, other)
            yield f"With {one_line(other)}: {_scale(found.decision)}."
            if found.language.both:
                yield f"  on the language: {_scale(found.language)}."


def _scale(scale: Scale) -> str:
    if not scale.both:
        return f"nothing in common yet, a kappa needs {NEEDED}"
    if scale.kappa is None:
        return f"{scale.same} of {scale.both} the same" + (f", a kappa needs {NEEDED}" if scale.both < NEEDED else "")
    return f"kappa {scale.kappa:.2f} ({scale.same} of {scale.both} the same)"
