"""What speaks against promoting a version, as far as its reports tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lora_tui.adapters.registry import Adapter
from lora_tui.verify.judge.asking import same_as
from lora_tui.verify.reports import gates, report
from lora_tui.verify.reports.report import Gate, Report
from lora_tui.verify.running.asked_suite import is_changed
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Verification, conditions, load_profile, profile_paths


def reasons_against(workspace: Workspace, item: Adapter) -> list[str]:
    """Each reason as people read it; empty: nothing speaks against it.

    A merge is nothing that was trained: nobody knows how it does before a report compares it. A version whose profile
    has gates needs them all passed by its newest report on the profile's suite, as the gates and the suite are now;
    where its profile is no longer there, those that its newest report was made with. A report that compares it with
    itself measures noise, and counts for nothing here. No older one stands in for a newer one that is
    unreadable.
    """
    own = [
        found
        for found in report.about(workspace, item.label)
        if report.named(found.tuned) == item.label != report.named(found.baseline)
    ]
    compare = f"--baseline base:{item.metadata.base} --tuned adapter:{item.label}"
    if item.metadata.strategy and not own:
        return [f"it is merged and no report says how it does (`lora-tui verify SUITE {compare}` makes one)"]
    try:
        wanted = _wanted(workspace, item.metadata.profile, own)
    except LoraTuiError as error:
        return [f"its profile's gates cannot be read: {error.what}"]
    if not wanted.gates:
        return []
    suite = Path(wanted.suite).stem if wanted.suite.endswith((".yaml", ".yml")) else wanted.suite
    on_suite = [found for found in own if suite in ("", found.suite)]
    is_known = item.metadata.profile in profile_paths(workspace)
    newest = next(
        (one for one in on_suite if not is_known or not is_changed(workspace, wanted.suite, one.suite_sha256)), None
    )
    if newest is None:
        command = f"lora-tui verify --profile {item.metadata.profile} {compare}"
        if on_suite:
            return [f"the suite {suite} is another now than in report {on_suite[0].id} (`{command}` asks it anew)"]
        return [f"no report shows whether it passes the gates of its profile (`{command}` makes one)"]
    return [
        *_hidden(workspace, item, newest),
        *_unfair(newest),
        *_missed(gates.evaluate(workspace, newest, wanted.gates), newest),
    ]


def _wanted(workspace: Workspace, profile: str, own: Sequence[Report]) -> Verification:
    if profile not in profile_paths(workspace):  # removed or renamed since, or a file elsewhere
        asked = next((found for found in own if found.gates), None)
        return (
            Verification(suite=asked.suite, gates=tuple(gate.text for gate in asked.gates)) if asked else Verification()
        )
    found = load_profile(workspace, profile).verification
    for text in found.gates:
        conditions.read(text)
    return found


def _hidden(workspace: Workspace, item: Adapter, newest: Report) -> Iterator[str]:
    """Reports made after the newest that counts, of which nobody can tell how they came out.

    What they are about is told by the text for people that lies beside; where that is gone too, it may be anything.
    """
    for identity in report.unreadable(workspace, after=newest.id):
        try:
            text = (workspace.reports / identity / "report.md").read_text(errors="replace")
        except OSError:
            text = ""
        tuned = text.partition("\n")[0].removeprefix("# ").partition(" against ")[0]
        if not text or (report.named(tuned) == item.label and f"\nSuite `{newest.suite}`:" in text):
            yield f"a newer report cannot be read: verify it anew, or remove {workspace.reports / identity}"


def _unfair(found: Report) -> Iterator[str]:
    """What no gate sees, and what makes passing one worth nothing."""
    if any(fault.code == "no-effect" for fault in found.faults):
        yield f"it answers as {found.baseline} does, word for word (report {found.id})"
    if again := sum(outcome.asked_again > 0 for outcome in found.outcomes):
        many = f"{again} prompts were" if again > 1 else "a prompt was"
        yield f"{many} asked again alone, and a second chance proves nothing: verify it anew (report {found.id})"
    judge, own = found.judge, found.sides[1]
    if judge is not None and judge.engine and same_as(judge, judge.endpoint, [(own.label, own.endpoint, own)]):
        yield f"it judged itself: verify it with another --judge (report {found.id})"


def _missed(judged: tuple[Gate, ...], found: Report) -> list[str]:
    how = {False: "failed", None: "is undecided"}
    return [
        f"the gate {gate.text} {how[gate.passed]}: {', '.join(filter(None, (gate.measured, gate.detail)))} "
        f"(report {found.id})"
        for gate in judged
        if gate.passed is not True
    ]
