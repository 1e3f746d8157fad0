"""How the versions of a fine-tune did on a suite, one after another, each against the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from lora_tui.adapters import numbering
from lora_tui.verify.reports.report import TUNED, Outcome, Report, named
from lora_tui.verify.reports.side_rates import judged_samples, rate_of
from lora_tui.verify.statistics import Comparison, Rate, compare


class Step(msgspec.Struct, frozen=True):
    """One version on one suite, by its newest report."""

    suite: str
    label: str  # build-rust@1.1.0
    report: str  # id
    created: float
    conclusive: bool
    rate: Rate | None  # its own
    before: str = ""  # the version before it here; empty: it is the first
    change: Comparison | None = None  # against that, over the prompts that both were asked
    notes: tuple[str, ...] = ()  # what is not alike between the two
    passed: int = 0  # gates
    failed: int = 0
    undecided: int = 0


def history(reports: Sequence[Report], name: str = "") -> list[Step]:
    """Every fine-tune on every suite, the oldest version first.

    `name`: only this suite, this adapter, or the adapter with this version.
    """
    groups: dict[tuple[str, str], dict[str, Report]] = {}
    for report in sorted(reports, key=lambda one: one.created):
        label = named(report.tuned)
        groups.setdefault((report.suite, label.partition("@")[0]), {})[label] = report
    steps: list[Step] = []
    for (suite, adapter), versions in sorted(groups.items()):
        if name in ("", suite, adapter) or name in versions:
            steps += _steps(sorted(versions.items(), key=lambda item: _place(item[0], item[1])))
    return steps


def _place(label: str, report: Report) -> tuple[tuple[int, ...], float]:
    version = label.partition("@")[2]
    return (numbering.order(version) if version else (), report.created)


def _steps(versions: Sequence[tuple[str, Report]]) -> Iterator[Step]:
    before: tuple[str, Report] | None = None
    for label, report in versions:
        passed = [gate.passed for gate in report.gates]
        yield Step(
            suite=report.suite,
            label=label,
            report=report.id,
            created=report.created,
            conclusive=report.conclusive,
            rate=rate_of(report, TUNED),
            before=before[0] if before else "",
            change=_change(before[1], report) if before else None,
            notes=tuple(_unlike(before[1], report)) if before else (),
            passed=passed.count(True),
            failed=passed.count(False),
            undecided=passed.count(None),
        )
        before = (label, report)


def _change(before: Report, after: Report) -> Comparison | None:
    """Paired over what both were asked: the same words, and the same expected of the answer."""
    known = {_asked(outcome): outcome for outcome in before.outcomes}
    pairs = [(known[_asked(one)], one) for one in after.outcomes if _asked(one) in known]
    judged = [(judged_samples(old, TUNED), judged_samples(new, TUNED)) for old, new in pairs]
    if not any(a and b for a, b in judged):
        return None
    return compare([a for a, _ in judged], [b for _, b in judged])


def _asked(outcome: Outcome) -> tuple[str, tuple[str, ...], float | None]:
    checks = next((answer.checks for answer in outcome.answers.get(TUNED, ()) if answer.checks), ())
    return outcome.prompt, tuple(check.expectation for check in checks), outcome.threshold


def _unlike(before: Report, after: Report) -> Iterator[str]:
    if before.suite_sha256 != after.suite_sha256:
        known = {_asked(outcome) for outcome in before.outcomes}
        shared = sum(_asked(outcome) in known for outcome in after.outcomes)
        yield f"the suite changed: {shared} of {len(after.outcomes)} prompts are as they were"
    if before.sampling != after.sampling:
        yield "answers were drawn otherwise"
    old, new = before.side(TUNED), after.side(TUNED)
    if (old.engine, old.version) != (new.engine, new.version):
        yield f"by {new.engine} {new.version} after {old.engine} {old.version}".replace("  ", " ")
