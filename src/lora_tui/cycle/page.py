"""The report of a cycle: one page in Markdown, cycle.md in its run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lora_tui.cycle.earlier import NOTHING, PROMOTED, REFUSED
from lora_tui.cycle.ground import STEPS
from lora_tui.jobs.journal import CycleStep
from lora_tui.workspace.layout import Workspace

PAGE = "cycle.md"
_MARKS = {"done": "✓", "nothing": "–", "refused": "✗"}
_HEADINGS = {
    "ingest": "Read what is new",
    "accept": "Accept by rule",
    "dataset": "Dataset",
    "plan": "Plan",
    "train": "Train",
    "verify": "Verify",
    "promote": "Promote",
    "opencode": "The agent's settings",
}


def page(profile: str, identity: str, outcome: str, steps: Sequence[CycleStep], workspace: Workspace) -> str:
    """The whole page. `outcome` is how the cycle ended; empty for a dry run."""
    taken = {step.step: step for step in steps}
    lines = [f"# {profile}: {outcome or 'what a cycle would do'}", ""]
    lines += [_conclusion(outcome, taken, steps), ""]
    if identity:
        lines += [f"Cycle `{identity}`, {time.strftime('%Y-%m-%d %H:%M')}.", ""]
    for name in STEPS:
        step = taken.get(name)
        if step is None:
            continue
        lines += [f"## {_MARKS[step.outcome]} {_HEADINGS[name]}", "", *(f"- {said}" for said in step.said)]
        if name == "verify" and step.made and outcome:
            lines.append(f"- all answers: `{workspace.reports / step.made / 'report.md'}`")
        lines.append("")
    if outcome == PROMOTED:
        lines.append(f"Back to the version before: `lora-tui rollback {profile}`.")
    return "\n".join(lines).rstrip() + "\n"


def _conclusion(outcome: str, taken: dict[str, CycleStep], steps: Sequence[CycleStep]) -> str:
    last = steps[-1] if steps else None
    match outcome:
        case _ if outcome == PROMOTED:
            return f"**{taken['promote'].made} is in production now.**"
        case _ if outcome == REFUSED and last is not None:
            return f"**Nothing was promoted: {last.said[-1]}.** What was in production is as it was."
        case _ if outcome == NOTHING and last is not None:
            return f"**{last.said[-1][:1].upper()}{last.said[-1][1:]}.** Nothing was trained."
        case _:
            return "Nothing was changed: the steps up to the plan were done on a copy."


def text(steps: Sequence[CycleStep]) -> str:
    """The steps for a terminal."""
    lines = []
    for step in steps:
        first, *rest = step.said
        lines.append(f"{_MARKS[step.outcome]} {step.step:<9} {first}")
        lines += [f"{'':<12}{said}" for said in rest]
    return "\n".join(lines)
