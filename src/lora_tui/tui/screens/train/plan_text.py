"""A plan as lines: what the run would do, what it needs, and what to know first."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.backends.plan import Plan
from lora_tui.jobs.audit import Audited, Counted
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import LEFT_OUT, duration, gib, many
from lora_tui.workspace.errors import LoraTuiError

_NAME = 12
_TONES = {"error": "bad", "warning": "warn", "note": "muted"}
_LEFT_OUT = 12  # rows named one by one


def plan_lines(plan: Plan, roomy: bool, width: int) -> Sequence[Line]:
    """Every line of a plan; `roomy` adds the lengths and the rows that are left out."""
    found, train, size = plan.audited, plan.audited.train, plan.measured
    validation = found.splits.get("validation", Counted())
    share = train.loss_tokens / train.tokens if train.tokens else 0.0
    trained = size.trainable / size.parameters if size.parameters else 0.0
    lines: list[Line] = [
        [_name("plan"), (f"{one_line(plan.profile)} on {one_line(plan.dataset)}", "strong")],
        _row(
            "rows",
            f"{train.rows:,} to train on, {validation.rows:,} to validate, {found.number_left_out:,} left out",
        ),
        _row("tokens", f"{train.tokens:,}, of which {train.loss_tokens:,} ({share:.0%}) carry loss"),
        _row("longest", f"{found.longest:,} tokens; max_length {found.max_length:,}"),
        _row("steps", f"{plan.steps:,}"),
        _row("parameters", f"{size.trainable:,} trained of {size.parameters:,} ({trained:.2%})"),
        _memory(plan, width),
        _row("time", f"about {duration(plan.seconds)}" if plan.seconds else "not known before the first run"),
    ]
    for finding in plan.findings:
        text = f"{finding.code}: {finding.message}"
        for again, piece in enumerate(wrap(one_line(text), width - _NAME)):
            lines.append([(fit("" if again else finding.severity, _NAME), _TONES[finding.severity]), (piece, "")])
    for number, warning in enumerate(plan.warnings):
        for again, text in enumerate(wrap(one_line(warning), width - _NAME)):
            first = not number and not again
            lines.append([(fit("note" if first else "", _NAME), "warn" if first else ""), (text, "")])
    if roomy:
        lines += _histogram(found, width)
        lines += _rows_left_out(found, width)
    starts = " starts it; it goes on by itself and is watched under Monitor"
    if errors := found.errors:
        starts = f" starts it in spite of {many(len(errors), 'error')}, after you have typed what is allowed"
    lines += [[], [("s", "primary"), (starts, "muted")]]
    return lines


def problem_lines(error: LoraTuiError, width: int) -> Sequence[Line]:
    """Why there is no plan, and the way out."""
    lines: list[Line] = []
    for text, tone in ((error.what, "bad"), (error.where, "muted"), (error.fix, "")):
        lines += [[(line, tone)] for part in text.splitlines() if part for line in wrap(one_line(part), width)]
    return lines


def _memory(plan: Plan, width: int) -> Line:
    share = plan.memory.total / plan.memory_available if plan.memory_available else 1.0
    tone = "bad" if share > 1 else "warn" if share > 0.9 else "good"
    said = f" {gib(plan.memory.total)} of {gib(plan.memory_available)} GiB free"
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


def _row(name: str, value: str) -> Line:
    return [_name(name), (value, "")]


def _name(text: str) -> Piece:
    return (fit(text, _NAME), "muted")
