"""A verification in a terminal: a line now and then while it works, at the end the prompts, the verdict, the gates."""

from __future__ import annotations

from lora_tui.jobs import journal
from lora_tui.jobs.event_words import words
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Gate, Outcome, Report
from lora_tui.verify.reports.words import gate_words, rate_words
from lora_tui.workspace.errors import LoraTuiError

_FEW = 40  # answers that get a line each
_MARKS = {"passed": "pass", "failed": "FAIL", "not run": "  – "}
_NAMES = {report.BASELINE: "baseline", report.TUNED: "fine-tune"}


class Undecided(LoraTuiError):
    """No gate failed, and one could not be decided."""

    exit_code = 3


class AnswerLines:
    """A run's events as lines: each answer where there are few, every tenth part where there are many."""

    def __init__(self) -> None:
        self._total = 0
        self._tenths = 0

    def line(self, event: journal.AnyEvent) -> str:
        """One line for people; empty for what needs none."""
        match event:
            case journal.Started():
                self._total = event.total_steps
            case journal.Answer(error="") if self._total > _FEW:
                return ""
            case journal.Progress(stage="answers"):
                tenths = 10 * event.done // event.total if event.total > _FEW else 0
                if tenths > self._tenths:
                    self._tenths = tenths
                    return f"{event.done:,} of {event.total:,} answers"
                return ""
        return words(event)


def summary(made: Report) -> str:
    """The result: a line a prompt, then what it proves."""
    lines = []
    for number, outcome in enumerate(made.outcomes, start=1):
        marks = "  ".join(f"{_NAMES.get(side, side)} {_mark(outcome, side)}" for side in outcome.answers)
        lines.append(f"{number:>3}  {marks}  {outcome.description}")
    lines.append(f"fine-tune {rate_words(made.result.tuned)}, baseline {rate_words(made.result.baseline)}")
    lines += [f"{fault.code}, {fault.side}, {fault.times} ×: {fault.message}" for fault in made.faults]
    lines.append(made.verdict)
    lines += [gate_words(gate) for gate in made.gates]
    return "\n".join(lines)


def _mark(outcome: Outcome, side: str) -> str:
    answers = outcome.answers[side]
    if len(answers) > 1:
        passed = sum(report.passed(answer) for answer in answers)
        return f"{passed}/{len(answers)} "
    return _MARKS[report.verdict_of(answers[0])] if answers else "  – "


def refuse_unless_passed(made: Report) -> None:
    """Raises LoraTuiError where an answer is missing or a gate failed, and Undecided where one is undecided."""
    if made.errors:
        raise LoraTuiError(
            f"{made.errors} answers could not be had" if made.errors > 1 else "an answer could not be had",
            where=made.id,
            fix=f"Ask for them again: lora-tui runs resume {made.id}.",
        )
    if failed := [gate for gate in made.gates if gate.passed is False]:
        raise LoraTuiError(_told(failed, "failed"), where=made.id)
    if open_ := [gate for gate in made.gates if gate.passed is None]:
        raise Undecided(_told(open_, "undecided"), where=made.id)


def _told(gates: list[Gate], how: str) -> str:
    names = "; ".join(f"{gate.text} ({gate.measured or gate.detail})" for gate in gates)
    return f"{len(gates)} gate{'s' if len(gates) > 1 else ''} {how}: {names}"
