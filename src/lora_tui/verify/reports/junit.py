"""A report as JUnit XML, for CI: the fine-tune's prompts are test cases, the gates a test suite of their own.

The shape is that of Ant's report as the schema in circulation has it (github.com/windyroad/JUnit-Schema): what of it is
required is written, and nothing that it does not know.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from lora_tui.verify.reports import report as reports
from lora_tui.verify.reports.report import BASELINE, TUNED, Outcome, Report, verdict_of
from lora_tui.verify.reports.words import check_words, gate_words

Tag = Literal["failure", "error", "skipped"]

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, §2.2


class _Case(NamedTuple):
    name: str
    where: str
    seconds: float
    tag: Tag | None = None
    type: str = ""
    message: str = ""
    text: str = ""


def xml(report: Report) -> str:
    """The whole document."""
    root = ElementTree.Element("testsuites")
    cases = [_case(report, number, outcome) for number, outcome in enumerate(report.outcomes, start=1)]
    about = {
        "report": report.id,
        "baseline": report.baseline,
        "tuned": report.tuned,
        "profile": report.profile,
        "verdict": report.verdict,
    }
    _suite(root, report, report.suite, cases, about)
    if report.gates:
        _suite(root, report, f"{report.suite} gates", _gates(report), {})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, report: Report, name: str, cases: Sequence[_Case], about: dict[str, str]) -> None:
    counts = Counter(case.tag for case in cases)
    made = ElementTree.SubElement(
        root,
        "testsuite",
        id=str(len(root)),
        name=_clean(name),
        package="lora-tui",
        timestamp=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(report.created)),
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    properties = ElementTree.SubElement(made, "properties")
    for key, value in about.items():
        if value:
            ElementTree.SubElement(properties, "property", name=key, value=_clean(value))
    for case in cases:
        element = ElementTree.SubElement(
            made, "testcase", name=_clean(case.name), classname=_clean(case.where), time=f"{case.seconds:.3f}"
        )
        if case.tag == "skipped":
            ElementTree.SubElement(element, "skipped", message=_clean(case.message))
        elif case.tag is not None:
            said = ElementTree.SubElement(element, case.tag, message=_clean(case.message), type=case.type)
            said.text = _clean(case.text)
    ElementTree.SubElement(made, "system-out").text = _clean(report.verdict)
    ElementTree.SubElement(made, "system-err")


def _case(report: Report, number: int, outcome: Outcome) -> _Case:
    """One prompt. It passes where every sample does."""
    answers = outcome.answers.get(TUNED, ())
    seconds = sum(answer.seconds for answer in answers)
    where = f"{report.suite}.{outcome.language}" if outcome.language else report.suite
    case = _Case(f"{number}. {outcome.description}", where, seconds)
    if lost := [answer for answer in answers if answer.error]:
        return case._replace(tag="error", type=lost[0].fault or "error", message=lost[0].error)
    verdicts = [verdict_of(answer) for answer in answers]
    if not answers or "not run" in verdicts:
        why = next((check.not_run for answer in answers for check in answer.checks if check.not_run), "not asked")
        return case._replace(tag="skipped", message=f"not run: {why}")
    passed = verdicts.count("passed")
    if passed == len(answers):
        return case
    before = [verdict_of(answer) for answer in outcome.answers.get(BASELINE, ())]
    regression = outcome.change in ("lost", "worse")
    message = f"{passed} of {len(answers)} answers passed, of the baseline's {before.count('passed')} of {len(before)}"
    text = "\n\n".join(
        "\n".join([*(check_words(check) for check in answer.checks), "", answer.text])
        for answer in answers
        if not reports.passed(answer)
    )
    kind = "regression" if regression else "failed"
    return case._replace(tag="failure", type=kind, message=f"{kind}: {message}", text=text)


def _gates(report: Report) -> list[_Case]:
    """A gate that failed is a failure; one that is undecided is an error, so that nothing passes by it."""
    made = []
    for gate in report.gates:
        case = _Case(gate.text, f"{report.suite}.gates", 0.0)
        if gate.passed is None:
            case = case._replace(tag="error", type="undecided", message=f"undecided: {gate.detail}")
        elif not gate.passed:
            case = case._replace(tag="failure", type="gate", message=gate_words(gate))
        made.append(case)
    return made


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)
