"""Gates: what a report must show before a version is promoted, each passed, failed or undecided.

The rule: a gate on a rate or a difference passes or fails only where the whole 95 % interval lies on one side of its
limit, else it is undecided; times, memory and forgetting are decided by what was measured. How gates are written:
`workspace/profiles/conditions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.verify.reports import report as reports
from lora_tui.verify.reports.gate_measures import first_token, forgetting, latency, memory
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.verify.reports.words import percent, percents
from lora_tui.verify.running.asked_suite import is_changed
from lora_tui.verify.statistics import MANY, Comparison, difference_side, rate_side
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import conditions
from lora_tui.workspace.profiles.conditions import Condition


def evaluate(workspace: Workspace, report: Report, texts: Sequence[str]) -> tuple[Gate, ...]:
    """Every gate, in order, of a report's fine-tune. Raises BadInput for what is no gate."""
    wanted = [conditions.read(text) for text in texts]
    metadata = _metadata(workspace, report) if any(one.metric == "forgetting" for one in wanted) else None
    named = {one.suite for one in wanted} - {""}
    known = [
        one
        for one in (reports.reports(workspace) if named else ())
        if one.suite in named and not is_changed(workspace, one.suite, one.suite_sha256)
    ]
    return tuple(_gate(one, _of_suite(report, one.suite, known), metadata) for one in wanted)


def _gate(wanted: Condition, report: Report | None, metadata: Metadata | None) -> Gate:
    if wanted.metric == "forgetting":
        return forgetting(wanted, metadata)
    if report is None:
        fix = f"lora-tui verify {wanted.suite} with the same fine-tune makes one"
        return Gate(wanted.text, None, detail=f"no report of it on the suite {wanted.suite} as it is now; {fix}")
    return _MEASURES[wanted.metric](wanted, report)


def _metadata(workspace: Workspace, report: Report) -> Metadata | None:
    try:
        return registry.find(workspace, reports.named(report.tuned)).metadata
    except LoraTuiError:
        return None


def _of_suite(report: Report, suite: str, known: Sequence[Report]) -> Report | None:
    """The newest report about the same fine-tune, by its name and, where they are known, its weights.

    One that compares it with itself measures noise and is none of them.
    """
    if suite in ("", report.suite):
        return report
    own = report.sides[1]
    return next(
        (
            one
            for one in known
            if one.suite == suite
            and one.baseline != one.tuned
            and reports.named(one.tuned) == reports.named(report.tuned)
            and (
                one.sides[1].engine != own.engine
                or "" in (one.sides[1].digest, own.digest)
                or one.sides[1].digest == own.digest
            )
        ),
        None,
    )


def _undecidable(report: Report) -> str:
    """Why nothing is decided on answers like these; empty where something can be."""
    void = next((fault for fault in report.faults if fault.voids), None)
    if void is not None:
        return f"{void.code}: {void.message}"
    if report.errors:
        return f"{report.errors} answers could not be had" if report.errors > 1 else "an answer could not be had"
    return "" if report.result.prompts else "no prompt was judged"


def _unjudged(wanted: Condition, report: Report) -> str:
    """Why what was left out may hide what decides."""
    if report.not_run and not wanted.measured:
        return f"{report.not_run} of {len(report.outcomes)} prompts were not judged"
    return ""


def _success(wanted: Condition, report: Report) -> Gate:
    found, why = report.result.tuned, _undecidable(report)
    if found is None or why:
        return Gate(wanted.text, None, detail=why)
    measured = f"{percent(found.value)} ({found.passed} of {found.samples})"
    ends = f"95 % interval {percents(found.interval)}"
    if wanted.measured:
        return Gate(wanted.text, wanted.met_by(found.value), measured, ends)
    if unjudged := _unjudged(wanted, report):
        return Gate(wanted.text, None, measured, f"{unjudged}; {ends}")
    side = rate_side(found, wanted.limit, report.result.prompts)
    return Gate(wanted.text, side.above, measured, ends + (_more(side.more) if side.above is None else ""))


def _difference(wanted: Condition, report: Report) -> Gate:
    if why := _undecidable(report):
        return Gate(wanted.text, None, detail=why)
    return _compared(wanted, report, report.result, wanted.limit)


def _compared(wanted: Condition, report: Report, found: Comparison, limit: float) -> Gate:
    """A gate on one comparison: the difference must be at least `limit`."""
    measured = f"{100 * found.difference:+.1f} points"
    ends = f"{found.gained} better, {found.lost} worse of {found.prompts}"
    if found.interval is not None:
        ends += f", 95 % interval {100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f}"
    if wanted.measured:
        signed = found.difference if wanted.at_least else -found.difference
        return Gate(wanted.text, wanted.met_by(signed), measured, ends)
    if why := _unjudged(wanted, report):
        return Gate(wanted.text, None, measured, f"{why}; {ends}")
    side = difference_side(found, limit)
    passed = side.above
    if passed is False and limit == 0 and not wanted.strict and found.outcome == "same":
        return Gate(wanted.text, None, measured, f"{ends}; give a margin, as in difference >= -2 points")
    return Gate(wanted.text, passed, measured, ends + (_more(side.more) if passed is None else ""))


def _language(wanted: Condition, report: Report) -> Gate:
    """Decided by the language that decides it: the worst that fails, else one that is undecided, else the worst."""
    if why := _undecidable(report):
        return Gate(wanted.text, None, detail=why)
    groups: Mapping[str, Comparison] = report.languages
    if not groups:
        names = {one.language for one in report.outcomes}
        if len(names) != 1 or names == {""}:
            return Gate(wanted.text, None, detail="its prompts name no language (metadata.language)")
        groups = {next(iter(names)): report.result}
    made = {name: _compared(wanted, report, found, -wanted.limit) for name, found in groups.items()}
    rank = {False: 0, None: 1, True: 2}
    name = min(made, key=lambda one: (rank[made[one].passed], groups[one].difference))
    gate = made[name]
    return msgspec.structs.replace(gate, measured=f"{name} {gate.measured}")


_MEASURES: dict[str, Callable[[Condition, Report], Gate]] = {
    "success": _success,
    "difference": _difference,
    "language": _language,
    "latency": lambda wanted, report: latency(wanted, report, _undecidable(report)),
    "first-token": lambda wanted, report: first_token(wanted, report, _undecidable(report)),
    "memory": lambda wanted, report: memory(wanted, report, _undecidable(report)),
}


def _more(prompts: int) -> str:
    if prompts >= MANY:
        return "; too near the limit to be told from it"
    return f"; about {prompts} more {'prompt' if prompts == 1 else 'prompts'} needed"
