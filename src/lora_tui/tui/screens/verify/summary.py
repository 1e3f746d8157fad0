"""The lines over the prompts: what `s` would start, and how the comparison on the screen came out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.verify.comparison import Comparison
from lora_tui.tui.screens.verify.proposal import Proposal
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import STATES, endpoint_name, many
from lora_tui.verify.reports.report import Fault, Gate, Report, Side
from lora_tui.verify.statistics import Comparison as Result
from lora_tui.verify.statistics import Rate

_BAR = 8  # cells, at least
_GATES = {True: ("✓", "good"), False: ("✗", "bad"), None: ("?", "warn")}


def proposal_lines(proposal: Proposal, width: int) -> Sequence[Line]:
    """One line: suite, baseline and fine-tune that are chosen, each with its key, and what else was set."""
    parts = [
        ("c", "suite", proposal.suite),
        ("b", "baseline", endpoint_name(proposal.baseline) if proposal.baseline else ""),
        ("t", "fine-tune", endpoint_name(proposal.tuned) if proposal.tuned else ""),
    ]
    line: list[Piece] = []
    for key, name, value in parts:
        line += [
            (key, "primary"),
            (f" {name} ", "muted"),
            (one_line(value) or "none", "" if value else "warn"),
            ("   ", ""),
        ]
    if set_apart := proposal.set_apart:
        left = width - sum(cell_len(text) for text, _ in line) - 2
        line += [("m ", "primary"), (fit(one_line(set_apart), left).rstrip(), "")]
    return [line]


def summary_lines(found: Comparison, language: str, most: int, width: int) -> Sequence[Line]:
    """Counts and verdict when it is done, how far it is while it is not; at most `most` lines, what decides first.

    `language`: the one that alone is listed; its own verdict is told then. Empty: all.
    """
    lines = [*_of_result(found, found.result, language, width)] if found.result else [*_going_on(found, width)]
    if len(lines) > most:
        lines = [*lines[: most - 1], [("  … i tells the rest", "muted")]]
    return [_title(found), *lines]


def _title(found: Comparison) -> Line:
    mark, tone = STATES[found.state]
    names = f"{one_line(endpoint_name(found.tuned))} against {one_line(endpoint_name(found.baseline))}"
    if len(found.sides) > 2:
        names += f" and {len(found.sides) - 2} more"
    samples = max((prompt.samples for prompt in found.prompts), default=1)
    each = f"  {samples} samples each" if samples > 1 else ""
    return [(f"{mark} ", tone), (one_line(found.suite), "strong"), (f"  {names}", ""), (each, "muted")]


def _of_result(found: Comparison, report: Report, language: str, width: int) -> Sequence[Line]:
    result = report.languages.get(language, report.result)
    verdict = report.verdict if result is report.result else f"{language}: {result.verdict}"
    void = [fault for fault in found.faults if fault.voids]
    rest = [fault for fault in found.faults if not fault.voids]
    return [
        _rates(result, report.samples),
        *([("  " + line, "strong")] for line in wrap(one_line(verdict), width - 2)),
        *_faults(void, width),
        *_gates(report.gates, width),
        *([(f"  {line}", "")] for line in wrap(one_line(found.voted), width - 2) if line),
        *_who(found.sides, width),
        *_faults(rest, width),
    ]


def _rates(result: Result, samples: int) -> Line:
    gained, lost = result.gained, result.lost
    better, worse = ("gained", "lost") if samples == 1 else ("better", "worse")
    return [
        ("  fine-tune ", "muted"),
        (_rate(result.tuned), "good" if gained > lost else ""),
        ("   baseline ", "muted"),
        (_rate(result.baseline), ""),
        (f"   {gained} {better}, {lost} {worse}", "bad" if lost else ""),
    ]


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "nothing"
    return f"{rate.passed} of {rate.samples} ({100 * rate.value:.0f} %)"


def _faults(faults: Sequence[Fault], width: int) -> Sequence[Line]:
    lines: list[Line] = []
    for fault in faults:
        times = f" ×{fault.times}" if fault.times > 1 else ""
        said = f"! {fault.code}{times}, {fault.side}: {one_line(fault.message)}"
        lines += [[("  " + line, "bad" if fault.voids else "warn")] for line in wrap(said, width - 2)]
    return lines


def _gates(gates: Sequence[Gate], width: int) -> Sequence[Line]:
    """Gates one after another, as many to a line as fit, those that fail first."""
    lines: list[list[Piece]] = []
    room = 0
    for gate in sorted(gates, key=lambda one: (one.passed is True, one.passed is None)):
        mark, tone = _GATES[gate.passed]
        text = one_line(f"{gate.text}: {gate.measured or 'not measured'}")
        if len(text) + 5 > room:
            lines.append([("  gates " if not lines else "        ", "muted")])
            room = width - 8
        lines[-1] += [(f"{mark} ", tone), (f"{text}   ", "")]
        room -= len(text) + 5
    return lines


def _who(sides: Sequence[Side], width: int) -> Sequence[Line]:
    """Who answered, where that is known: engine, version, and whether the server shows which model it has."""
    if not any(side.engine for side in sides):
        return []
    line: list[Piece] = [("  answered by ", "muted")]
    for number, side in enumerate(sides):
        line += [("  ·  ", "faint")] if number else []
        line.append((one_line(f"{side.label} {side.engine} {side.version}").rstrip(), "muted"))
        if not side.proven:
            line.append((", model unproven", "warn"))
    return [line]


def _going_on(found: Comparison, width: int) -> Sequence[Line]:
    share = found.done / found.total if found.total else None
    doing = one_line(found.stage) if found.state == "running" else ""
    said = fit(f"  {found.done:,} of {many(found.total, 'answer')}  {doing or found.state}", width - _BAR - 2).rstrip()
    lines: list[Line] = [[(f"{said}  ", ""), *bar(share, max(_BAR, min(width // 3, width - len(said) - 2)))]]
    if found.failure:
        lines += [[("  " + line, "bad")] for line in wrap(one_line(found.failure), width - 2)]
    if found.state in ("failed", "stopped"):
        lines.append([("  s goes on where it ended", "muted")])
    return [*lines, *_faults(found.faults, width), *_who(found.sides, width)]
