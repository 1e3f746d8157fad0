"""The sixth step: the new version against what is in production, by the profile's suite and gates."""

from __future__ import annotations

import shutil

from lora_tui.adapters.registry import Adapter
from lora_tui.backends import bases
from lora_tui.cycle.ground import Ground, done, many, refused
from lora_tui.jobs.journal import CycleStep
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.verify.reports.words import gate_words, rate_words
from lora_tui.verify.running import run
from lora_tui.workspace.profiles import conditions

NOT_WORSE = "passes no fewer samples than the baseline"  # what decides where a profile names no gates


def baseline(ground: Ground) -> str:
    """The endpoint it is compared with: the version in production, else the base."""
    if ground.production is not None:
        return f"adapter:{ground.production.label}"
    return f"base:{bases.resolve(ground.workspace, ground.profile)}"


def prepared(ground: Ground, adapter: Adapter, suite: str, identity: str) -> Run:
    """The verification run of this name, created and not started. Raises BadInput for a suite that cannot be read.

    Gates are decided on the profile's own suite; those that name another ask the newest report on that.
    """
    wanted = ground.profile.verification
    shutil.rmtree(ground.workspace.runs / identity, ignore_errors=True)  # half made, by a process that was killed
    return run.create(
        ground.workspace,
        suite,
        baseline(ground),
        f"adapter:{adapter.label}",
        wanted.max_tokens,
        gates=wanted.gates if suite == wanted.suite else (),
        profile=ground.profile.name,
        identity=identity,
    )


def suites(ground: Ground) -> list[str]:
    """The suites it is verified with: those that gates name, then the profile's, whose report decides."""
    wanted = ground.profile.verification
    named = dict.fromkeys(conditions.read(text).suite for text in wanted.gates)
    return [*(suite for suite in named if suite not in ("", wanted.suite)), wanted.suite]


def judged(report: Report) -> CycleStep:
    """What the report says of promoting; refused unless every gate passed. Undecided is not passed."""
    tuned, before = (rate_words(rate) for rate in (report.result.tuned, report.result.baseline))
    said = [f"{report.suite}: passes {tuned}, {report.baseline} {before}", report.verdict]
    gates = report.gates or (_not_worse(report),)
    said += [gate_words(gate) for gate in gates]
    if not report.conclusive:
        return refused("verify", *said, "nothing can be concluded from these answers", made=report.id)
    if failed := [gate for gate in gates if gate.passed is not True]:
        return refused("verify", *said, f"{many(len(failed), 'gate')} not passed", made=report.id)
    return done("verify", *said, made=report.id)


def _not_worse(report: Report) -> Gate:
    result = report.result
    if result.tuned is None or result.baseline is None:
        return Gate(NOT_WORSE, None, detail="no prompt was judged on both sides")
    measured = f"{result.tuned.passed} against {result.baseline.passed}"
    if report.not_run:
        return Gate(NOT_WORSE, None, measured, f"{report.not_run} of {len(report.outcomes)} prompts were not judged")
    return Gate(NOT_WORSE, result.difference >= 0, measured, "the profile names no gates")
