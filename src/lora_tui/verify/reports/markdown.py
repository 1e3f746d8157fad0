"""A report for people, to be read from the top: verdict, who answered and how, gates, statistics, then the prompts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lora_tui.jobs.checks import Verdict
from lora_tui.verify.reports.regressions import in_order
from lora_tui.verify.reports.report import Outcome, Report, verdict_of
from lora_tui.verify.reports.tables import gates, languages, sides
from lora_tui.verify.reports.words import check_words, percent

_WORDS: dict[Verdict, str] = {"passed": "pass", "failed": "fail", "not run": "not run"}
_CHANGES = {"lost": "LOST", "worse": "worse", "gained": "gained", "better": "better", "": ""}


def markdown(report: Report) -> str:
    """The whole text."""
    blocks = [
        f"# {report.tuned} against {report.baseline}",
        f"**{report.verdict}**",
        _about(report),
        sides(report),
        *_section("Gates", gates(report)),
        *_section("Languages", languages(report)),
        *_section("Time", report.latency.verdict if report.latency else ""),
        *_section("Noise", _noise(report)),
        *_section("Judge", _judge(report)),
        *_section("Faults", _faults(report)),
        "## Prompts, regressions first",
        *(block for number, outcome in in_order(report) for block in _prompt(number, outcome)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _section(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def _about(report: Report) -> str:
    result, drawn = report.result, report.sampling
    how = "greedy" if not drawn.temperature else f"temperature {drawn.temperature:g}, seed {drawn.seed}"
    samples = f"{report.samples} answers each" if report.samples > 1 else "one answer each"
    lines = [
        f"Suite `{report.suite}`: {result.prompts} prompts compared, {samples}, {how}, at most {drawn.max_tokens} "
        f"tokens. {result.gained} better, {result.lost} worse, {result.prompts - result.gained - result.lost} alike "
        f"({result.method}).",
    ]
    if report.not_run:
        lines.append(f"{report.not_run} prompts were not judged and count for nobody.")
    if report.judge is not None:
        lines.append(f"What `llm-rubric` asks was read by `{report.judge.endpoint}`.")
    if report.errors:
        lines.append(f"{report.errors} answers could not be had.")
    return " ".join(lines)


def _noise(report: Report) -> str:
    return "\n".join(
        f"- {side}: run again, it would differ from itself by up to {100 * found.points:.1f} points; "
        f"{found.unsteady} of {found.prompts} prompts are passed by some answers and not by others."
        for side, found in report.noise.items()
    )


def _judge(report: Report) -> str:
    if report.judge is None:
        return ""
    judge = report.judge
    if not judge.engine:
        return f"`{judge.endpoint}` judged nothing."
    who = f"{judge.model} by {judge.engine} {judge.version}".strip()
    unproven = "" if judge.proven else ", which answers to any name"
    notes = "".join(f" {note[:1].upper()}{note[1:].rstrip('.')}." for note in judge.notes)
    return f"`{judge.endpoint}` ({who}{unproven}) read what `llm-rubric` asks for.{notes}"


def _faults(report: Report) -> str:
    return "\n".join(
        f"- {'**' if fault.voids else ''}{fault.code}{'** (nothing can be concluded)' if fault.voids else ''}, "
        f"{fault.side}, {fault.times} ×: {' '.join(fault.message.split())}"
        for fault in report.faults
    )


def _prompt(number: int, outcome: Outcome) -> Iterator[str]:
    rates = []
    for side in outcome.answers:
        rate = outcome.rate(side)
        rates.append(f"{side} {'not judged' if rate is None else percent(rate)}")
    change = f", {_CHANGES[outcome.change]}" if outcome.change else ""
    again = f", asked again {outcome.asked_again} ×" if outcome.asked_again else ""
    yield f"### {number}. {' '.join(outcome.description.split())}{change}"
    yield f"{', '.join(rates)}{again}{f', {outcome.language}' if outcome.language else ''}"
    yield _quoted(outcome.prompt)
    for side, answers in outcome.answers.items():
        for answer in answers:
            sample = f", sample {answer.sample + 1}" if len(answers) > 1 else ""
            cut = "" if answer.stopped or answer.error else ", cut at max_tokens"
            yield f"#### {side}{sample}: {'error' if answer.error else _WORDS[verdict_of(answer)]}{cut}"
            if answer.checks:
                yield "\n".join(f"- {' '.join(check_words(item).split())}" for item in answer.checks)
            yield _quoted(answer.error or answer.text)


def _quoted(text: str) -> str:
    """Between fences that are longer than any inside: answers are Markdown themselves."""
    if not text.strip():
        return "(nothing)"
    fence = "`" * max(3, 1 + max((len(found) for found in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text.rstrip()}\n{fence}"
