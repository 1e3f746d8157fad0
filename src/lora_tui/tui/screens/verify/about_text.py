"""Everything a report says beside its answers, as a page to read: sides, gates, languages, times, noise, faults."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lora_tui.tui.safe_text import moment, one_line
from lora_tui.tui.wording import gib, many
from lora_tui.verify.reports.report import Report, Side
from lora_tui.verify.statistics import Comparison, Rate

_NAME, _WIDTH = 13, 70  # cells
_GATES = {True: "✓", False: "✗", None: "?"}


def about_text(report: Report, voted: str) -> str:
    """The page. `voted`: what blind votes say."""
    return "\n".join(piece for line in _lines(report, voted) for piece in _wrapped(line))


def _wrapped(line: str) -> list[str]:
    indent = " " * (_NAME + 3) if line.startswith("  ") else ""
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _lines(report: Report, voted: str) -> Iterator[str]:
    sampling = report.sampling
    drawn = "greedy" if not sampling.temperature else f"temperature {sampling.temperature:g}, seed {sampling.seed}"
    yield f"{one_line(report.suite)}, {moment(report.created)}"
    asked = f"{many(len(report.outcomes), 'prompt')}, up to {many(report.samples, 'sample')}, {drawn}"
    yield f"{asked}, at most {sampling.max_tokens} tokens; {report.seconds:.0f} s in all"
    yield ""
    yield one_line(report.verdict)
    yield f"{report.result.method}; {report.result.gained} better, {report.result.lost} worse"
    if voted:
        yield voted
    for side in report.sides:
        yield ""
        yield from _side(side, _rate(report, side.label))
    if report.gates:
        yield ""
        yield "Gates"
    for gate in report.gates:
        detail = f", {one_line(gate.detail)}" if gate.detail else ""
        yield f"  {_GATES[gate.passed]} {one_line(gate.text)}: {gate.measured or 'not measured'}{detail}"
    if report.languages:
        yield ""
        yield "Languages (p as adjusted for all of them being looked at)"
    for name, found in report.languages.items():
        yield f"  {_fact(one_line(name), _percents(found))}"
        yield f"  {_fact('', found.verdict)}"
    if report.latency is not None:
        yield ""
        yield f"Time: {report.latency.verdict}"
    for label, noise in report.noise.items():
        yield f"Noise: {label} run again would stay within {100 * noise.points:.1f} points of itself."
    if report.faults:
        yield ""
        yield "Faults"
    for fault in report.faults:
        void = ", nothing can be concluded from it" if fault.voids else ""
        yield f"  ! {fault.code}, {fault.side}, {fault.times}×{void}: {one_line(fault.message)}"
    yield ""
    yield "Versions over time: lora-tui reports history"


def _side(side: Side, rate: Rate | None) -> Iterator[str]:
    who = one_line(f"{side.engine} {side.version} {side.model}").strip() or "not told"
    yield f"{side.label}: {one_line(side.endpoint)}"
    yield f"  {_fact('answered by', who + ('' if side.proven else ', model not proven'))}"
    if rate is not None:
        low, high = 100 * rate.interval.low, 100 * rate.interval.high
        passed = f"{rate.passed} of {rate.samples}, {100 * rate.value:.1f} %, 95 % interval {low:.1f} to {high:.1f} %"
        yield f"  {_fact('passed', passed)}"
    timed = f"{side.seconds:.2f} s an answer" if side.seconds is not None else "none: all were kept from earlier"
    speed = f", {side.tokens_per_second:.1f} tokens/s" if side.tokens_per_second else ""
    busy = f"; up to {side.at_once} at once, warm-up {side.warm_up_seconds:.1f} s" if side.at_once else ""
    yield f"  {_fact('time', f'{timed}{speed}{busy}')}"
    if side.stop_rate is not None:
        yield f"  {_fact('ended itself', f'{100 * side.stop_rate:.0f} % of {side.answers}; {side.cached} kept')}"
    if side.rss_bytes or side.vram_bytes:
        yield f"  {_fact('memory', f'{gib(side.rss_bytes)} GiB, {gib(side.vram_bytes)} GiB of the GPU')}"
    for note in side.notes:
        yield f"  {_fact('', one_line(note))}"


def _rate(report: Report, label: str) -> Rate | None:
    return {"baseline": report.result.baseline, "tuned": report.result.tuned}.get(label)


def _percents(found: Comparison) -> str:
    rates = [f"{100 * rate.value:.0f} %" if rate else "nothing" for rate in (found.baseline, found.tuned)]
    return f"{' → '.join(rates)} of {many(found.prompts, 'prompt')}"


def _fact(name: str, value: str) -> str:
    return f"{name.ljust(_NAME)} {value}"
