"""Expectations: what an answer must show, by promptfoo's names. One small pure function per kind.

`not-` turns one around. Kinds that a text alone does not decide are known too and carried: whoever has what they need
checks them, and until then they are "not run", never passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from lora_tui.jobs import patterns
from lora_tui.jobs.journal import Check

Verdict = Literal["passed", "failed", "not run"]

_MOST_EDITS = 5.0  # promptfoo's threshold of levenshtein where none is given


class Expectation(msgspec.Struct, frozen=True):
    """One check of an answer, as promptfoo's `assert` has it: plain data."""

    type: str
    value: Any = None
    threshold: float | None = None  # most edits of levenshtein, milliseconds of latency, least score of a judge
    weight: float = 1.0  # in the score of a test with a threshold; 0: shown, never decides
    metric: str = ""

    @property
    def kind(self) -> str:
        """The type without `not-`."""
        return self.type.removeprefix("not-")

    @property
    def negated(self) -> bool:
        """Whether the opposite is expected."""
        return self.type != self.kind

    @property
    def words(self) -> str:
        """As a person reads it: contains 'fn '."""
        if self.kind == "latency" and self.threshold is not None:
            return f"{self.type} within {self.threshold:g} ms"
        if self.type == SET:
            share = "" if self.threshold is None else f" by {self.threshold:g} of their weights"
            return f"{self.metric or SET}: {', '.join(item.words for item in self.value)}{share}"
        return words(self.type, self.value)


Kind = Callable[[str, Expectation], bool]


def _contains(answer: str, wanted: Expectation) -> bool:
    return text_of(wanted.value) in answer


def _icontains(answer: str, wanted: Expectation) -> bool:
    return text_of(wanted.value).lower() in answer.lower()


def _contains_all(answer: str, wanted: Expectation) -> bool:
    return all(item in answer for item in items(wanted.value))


def _contains_any(answer: str, wanted: Expectation) -> bool:
    return any(item in answer for item in items(wanted.value))


def _icontains_all(answer: str, wanted: Expectation) -> bool:
    return all(item.lower() in answer.lower() for item in items(wanted.value))


def _icontains_any(answer: str, wanted: Expectation) -> bool:
    return any(item.lower() in answer.lower() for item in items(wanted.value))


def _regex(answer: str, wanted: Expectation) -> bool:
    return patterns.occurs(text_of(wanted.value), answer)


def _equals(answer: str, wanted: Expectation) -> bool:
    if not isinstance(wanted.value, dict | list):
        return answer == text_of(wanted.value)
    try:
        decoded: object = json.loads(answer)
    except (ValueError, RecursionError):  # a model that repeats itself opens brackets without end
        return False
    return bool(decoded == wanted.value)


def _starts_with(answer: str, wanted: Expectation) -> bool:
    return answer.startswith(text_of(wanted.value))


def _is_json(answer: str, _: Expectation) -> bool:
    try:
        json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return True


def _contains_json(answer: str, _: Expectation) -> bool:
    decoder = json.JSONDecoder()
    for found in re.finditer(r"[{\[]", answer):
        try:
            decoder.raw_decode(answer, found.start())
        except (ValueError, RecursionError):
            continue
        return True
    return False


def _word_count(answer: str, wanted: Expectation) -> bool:
    count = len(answer.split())
    if not isinstance(wanted.value, dict):
        return count == int(wanted.value)
    return bool(wanted.value.get("min", count) <= count <= wanted.value.get("max", count))


def _levenshtein(answer: str, wanted: Expectation) -> bool:
    most = _MOST_EDITS if wanted.threshold is None else wanted.threshold
    goal = text_of(wanted.value)
    return abs(len(answer) - len(goal)) <= most and edits(answer, goal) <= most


KINDS: dict[str, Kind] = {
    "contains": _contains,
    "icontains": _icontains,
    "contains-all": _contains_all,
    "contains-any": _contains_any,
    "icontains-all": _icontains_all,
    "icontains-any": _icontains_any,
    "regex": _regex,
    "equals": _equals,
    "starts-with": _starts_with,
    "is-json": _is_json,
    "contains-json": _contains_json,
    "word-count": _word_count,
    "levenshtein": _levenshtein,
}
CODE_KINDS = ("x-code-parses", "x-code-runs", "x-code-tests")
SET = "assert-set"  # several expectations that count as one; its value is their tuple
# Known and carried, with the reason they are not run where nobody has what they need.
CARRIED: dict[str, str] = {
    **dict.fromkeys(CODE_KINDS, "code is not executed here"),
    "latency": "the time was not measured",
    "cost": "what a request costs is not known",
    "human": "nobody has voted",
    **dict.fromkeys(
        (
            *("llm-rubric", "select-best", "max-score", "g-eval", "factuality", "model-graded-closedqa"),
            *("model-graded-factuality", "answer-relevance", "context-faithfulness", "context-recall"),
            *("context-relevance", "conversation-relevance", "search-rubric", "agent-rubric", "pi"),
        ),
        "no judge has read it",
    ),
    **dict.fromkeys(("similar", "similar:cosine", "similar:dot", "similar:euclidean"), "there is no embedder"),
    **dict.fromkeys(("javascript", "python", "ruby"), "code of a suite is not executed"),
    **dict.fromkeys(("classifier", "moderation", "guardrails", "webhook"), "no service is asked about an answer"),
    **dict.fromkeys(("perplexity", "perplexity-score"), "the probabilities of an answer are not known"),
    **dict.fromkeys(("bleu", "gleu", "meteor", "rouge-n"), "scores of likeness are not computed"),
    **dict.fromkeys(
        ("is-html", "contains-html", "is-xml", "contains-xml", "is-sql", "contains-sql", "is-refusal"),
        "this is not recognised here",
    ),
    **dict.fromkeys(
        (
            *("finish-reason", "is-valid-function-call", "is-valid-openai-function-call", "is-valid-openai-tools-call"),
            *("tool-call-f1", "skill-used", "trajectory:goal-success", "trajectory:tool-args-match"),
            *("trajectory:step-count", "trajectory:tool-sequence", "trajectory:tool-used", "trace-error-spans"),
            *("trace-span-count", "trace-span-duration"),
        ),
        "only the text of an answer is kept",
    ),
}


def known_kind(name: str) -> bool:
    """Whether an expectation of this name is known."""
    kind = name.removeprefix("not-")
    return kind in KINDS or kind in CARRIED


def words(kind: str, value: Any) -> str:
    """An expectation as a person reads it: contains 'fn '."""
    if kind.removeprefix("not-") in CODE_KINDS:
        language = value.get("language") if isinstance(value, dict) else value
        return f"{kind} ({language})" if language else kind
    return kind if value is None else f"{kind} {value!r}"


def check(wanted: Expectation, answer: str, *, seconds: float | None = None) -> Check:
    """Check one answer, which took `seconds` in all where that was measured.

    What is only carried is "not run", never "passed".
    """
    if wanted.kind == "latency" and seconds is not None and wanted.threshold is not None:
        return found(wanted, seconds * 1000 <= wanted.threshold, f"{seconds * 1000:.0f} ms")
    if wanted.kind == "is-json" and wanted.value:
        return skipped(wanted, "JSON schemas are not checked")
    if wanted.type == SET:
        return together(wanted, [check(item, answer, seconds=seconds) for item in wanted.value])
    if wanted.kind in KINDS:
        try:
            return found(wanted, KINDS[wanted.kind](answer, wanted))
        except TimeoutError:
            return skipped(wanted, f"the pattern did not come to an end within {patterns.SECONDS:g} s")
    return skipped(wanted, CARRIED[wanted.kind])


def together(wanted: Expectation, checks: Sequence[Check]) -> Check:
    """The result of an assert-set by the checks of what is in it: as `verdict` has it, "not run" where it is."""
    said = verdict(checks, wanted.threshold)
    if said == "not run":
        return skipped(wanted, next((item.not_run for item in checks if item.not_run), "nothing in it decides"))
    missed = ", ".join(item.expectation for item in checks if not item.passed)
    return Check(
        wanted.words, passed=said == "passed", detail=f"missed: {missed}" if missed else "", weight=wanted.weight
    )


def found(wanted: Expectation, met: bool, detail: str = "") -> Check:
    """The result of a check that was made."""
    return Check(expectation=wanted.words, passed=met != wanted.negated, detail=detail, weight=wanted.weight)


def skipped(wanted: Expectation, why: str) -> Check:
    """The result of one that could not be made: neither passed nor failed."""
    return Check(expectation=wanted.words, passed=False, not_run=why, weight=wanted.weight)


def verdict(checks: Sequence[Check], threshold: float | None = None) -> Verdict:
    """What the checks say together: all passed, or with a `threshold` a weighted share of at least that.

    A check of weight 0 decides nothing. One that was not run leaves the whole undecided, whatever the others say:
    answers judged by a part of what they must show would only ever be counted when they fail.
    """
    deciding = [item for item in checks if item.weight > 0]
    if any(item.not_run for item in deciding) or (checks and not deciding):
        return "not run"
    if threshold is None:
        return "passed" if all(item.passed for item in deciding) else "failed"
    total = sum(item.weight for item in deciding)
    score = sum(item.weight for item in deciding if item.passed) / total if total else 1.0
    return "passed" if score >= threshold - 1e-9 else "failed"


def text_of(value: Any) -> str:
    """A YAML value as promptfoo's templates write it."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ",".join(map(text_of, value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) else str(value)


def items(value: Any) -> list[str]:
    """The words of a list, or of a text with commas."""
    return [text_of(item) for item in value] if isinstance(value, list) else list(_parts(text_of(value)))


def _parts(text: str) -> Iterator[str]:
    for part in text.split(","):
        if part.strip():
            yield part.strip()


def edits(one: str, other: str) -> int:
    """The Levenshtein distance of two texts."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        above, row[0] = row[0], number
        for place, against in enumerate(other, start=1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (letter != against))
    return row[-1]
