"""A plan as lines: what the run would do, what it needs, and what to know first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lora_tui.backends import plan_words
from lora_tui.backends.plan import Plan
from lora_tui.backends.plan_words import Said
from lora_tui.jobs.audit import Audited
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import LEFT_OUT, gib, many
from lora_tui.workspace.errors import LoraTuiError

_NAME = 12
_TONES = {"error": "bad", "warning": "warn", "note": "muted"}
_LEFT_OUT = 12  # rows named one by one


def plan_lines(
    plan: Plan, roomy: bool, width: int, changed: Sequence[str] = (), where: Sequence[Line] = ()
) -> Sequence[Line]:
    """Every line of a plan; `roomy` adds reasons, what is trained, the lengths and the rows that are left out.

    changed: settings that were laid over the profile to make it fit. where: lines of the ways to train it; where there
    is little room, they take that of the memory's parts.
    """
    found = plan.audited
    lines: list[Line] = [[_name("plan"), (f"{one_line(plan.profile)} on {one_line(plan.dataset)}", "strong")]]
    lines += _keys(plan)
    lines += where
    if changed:
        lines += _said([Said("changed", " ".join(changed), "good")], width)
    lines += _said(plan_words.counts(plan), width)
    lines.append(_memory(plan, width))
    more = list(plan_words.memory(plan))[1:]
    lines += _said([item for item in more if roomy or not where or item.tone != "muted"], width)
    times = list(plan_words.time_and_price(plan, "t"))
    lines += _said([item for item in times if roomy or item.tone != "muted"], width)
    for finding in plan.findings:
        text = f"{finding.code}: {finding.message}"
        for again, piece in enumerate(wrap(one_line(text), width - _NAME)):
            lines.append([(fit("" if again else finding.severity, _NAME), _TONES[finding.severity]), (piece, "")])
    lines += _said(plan_words.notes(plan), width)
    lines += _said(plan_words.fitting(plan), width)
    advice = list(plan_words.advice(plan))
    lines += _said(advice if roomy else [item for item in advice if item.name], width)
    if roomy:
        lines += _trained(plan, width)
        lines += _histogram(found, width)
        lines += _rows_left_out(found, width)
    return lines


def _keys(plan: Plan) -> list[Line]:
    """What can be done with it, where it is always seen."""
    starts = " starts it; it goes on by itself, seen under Monitor"
    if errors := plan.audited.errors:
        starts = f" starts it in spite of {many(len(errors), 'error')}, once you typed what is allowed"
    lines: list[Line] = [[_name(""), ("s", "primary"), (starts, "muted")]]
    if plan.fit and plan.fit[-1].fits:
        lines.append([_name(""), ("f", "primary"), (" makes it fit", "muted")])
    return lines


def problem_lines(error: LoraTuiError, width: int) -> Sequence[Line]:
    """Why there is no plan, and the way out."""
    lines: list[Line] = []
    for text, tone in ((error.what, "bad"), (error.where, "muted"), (error.fix, "")):
        lines += [[(line, tone)] for part in text.splitlines() if part for line in wrap(one_line(part), width)]
    return lines


def _memory(plan: Plan, width: int) -> Line:
    share = plan.memory_needed / plan.memory_available if plan.memory_available else 1.0
    tone = "bad" if share > 1 else "warn" if share > 0.9 else "good"
    said = f" {gib(plan.memory_needed)} of {gib(plan.memory_available)} GiB free"
    device = one_line(plan.device)
    room = max(8, min(30, width - _NAME - len(said) - len(device) - 4))
    return [_name("memory"), *bar(share, room, tone), (said, ""), (fit(f"  {device}", len(device) + 2), "muted")]


def _histogram(found: Audited, width: int) -> list[Line]:
    if not found.train.lengths:
        return []
    most = max(item.rows for item in found.train.lengths) or 1
    room = max(8, min(40, width - _NAME - 22))
    lines: list[Line] = [[], [("tokens per row", "strong")]]
    for item in found.train.lengths:
        label: Piece = (fit(f"≤ {item.up_to:,}", _NAME), "muted")
        lines.append([label, ("█" * round(room * item.rows / most), "primary"), (f" {item.rows:,}", "")])
    return lines


def _rows_left_out(found: Audited, width: int) -> list[Line]:
    if not found.left_out:
        return []
    lines: list[Line] = [[], [(f"{many(found.number_left_out, 'row')} left out, never cut", "strong")]]
    for item in found.left_out[:_LEFT_OUT]:
        tokens = f"{item.tokens:,} tokens" if item.tokens else ""
        text = f"{fit(item.id, 14)} {fit(item.split, 11)} {fit(tokens, 15)} {LEFT_OUT[item.reason]}"
        lines.append([(fit(text, width).rstrip(), "muted")])
    if found.number_left_out > _LEFT_OUT:
        lines.append([(f"and {found.number_left_out - _LEFT_OUT:,} more", "muted")])
    return lines


def _said(said: Iterable[Said], width: int) -> list[Line]:
    lines: list[Line] = []
    for item in said:
        for again, piece in enumerate(wrap(one_line(item.text), width - _NAME)):
            name: Piece = (fit("" if again else item.name, _NAME), "warn" if item.name == "note" else "muted")
            lines.append([name, (piece, "" if item.name == "note" else item.tone)])
    return lines


def _trained(plan: Plan, width: int) -> list[Line]:
    rows = plan_words.trained(plan)
    if not rows:
        return []
    room = max(12, min(36, width - 42))
    lines: list[Line] = [[], [("what will be trained, with gradients and optimizer", "strong")]]
    for name, count, parameters, memory in rows:
        lines.append([(fit(one_line(name), room), ""), (f" ×{count:<6,}{parameters:>15}{memory:>12}", "muted")])
    return lines


def _name(text: str) -> Piece:
    return (fit(text, _NAME), "muted")
