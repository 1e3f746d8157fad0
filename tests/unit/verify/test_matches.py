"""Where in an answer an expectation is met, as a person sees it marked."""

from __future__ import annotations

import msgspec
import pytest

from lora_tui.jobs.checks import Expectation, check, skipped
from lora_tui.verify.matches import matches


@pytest.mark.parametrize(
    ("kind", "value", "answer", "marked"),
    [
        ("contains", "fn ", "fn a() and fn b()", ["fn ", "fn "]),
        ("icontains", "Rust", "rust, RUST", ["rust", "RUST"]),
        ("contains-all", ["a1", "b2"], "b2 a1", ["b2", "a1"]),
        ("contains-any", "x1, y2", "only y2", ["y2"]),
        ("regex", r"\d+", "7 and 42", ["7", "42"]),
        ("starts-with", "Use", "Use Use", ["Use"]),
        ("equals", "42", "42", ["42"]),
        ("contains-json", None, 'here: {"a": [1]} so', ['{"a": [1]}']),
        ("not-contains", "TODO", "a TODO", ["TODO"]),
        ("contains", "a.b", "axb a.b", ["a.b"]),
        ("contains", 'it\'s "so"\n', 'well, it\'s "so"\n', ['it\'s "so"\n']),
    ],
)
def test_what_an_expectation_looks_for_is_found_in_the_answer(
    kind: str, value: object, answer: str, marked: list[str]
) -> None:
    found = matches(check(Expectation(kind, value), answer), answer)
    assert [answer[start:end] for start, end in found.spans] == marked


def test_what_is_missing_of_several_is_named() -> None:
    answer = "only one of them"
    assert matches(check(Expectation("contains-all", ["one", "two", "three"]), answer), answer).missing == (
        "two",
        "three",
    )
    assert matches(check(Expectation("contains-any", ["one", "two"]), answer), answer).missing == ()


@pytest.mark.parametrize(
    "wanted",
    [
        Expectation("word-count", 3),
        Expectation("latency", threshold=5.0),
        Expectation("x-code-parses", {"language": "rust"}),
        Expectation("llm-rubric", "is it polite?"),
    ],
)
def test_what_is_no_matter_of_single_places_marks_none(wanted: Expectation) -> None:
    assert matches(skipped(wanted, "not here"), "is it polite?").spans == ()


def test_an_answer_full_of_hits_is_marked_in_time() -> None:
    answer = "a" * 100_000
    assert len(matches(check(Expectation("contains", "a"), answer), answer).spans) == 200


def test_a_pattern_that_never_ends_is_not_run_and_holds_nobody_up() -> None:
    answer = "a" * 60 + "!"
    endless = Expectation("regex", "(a|aa)+$")
    told = check(endless, answer)
    assert not told.passed
    assert told.not_run == "the pattern did not come to an end within 1 s"
    assert check(Expectation("not-regex", "(a|aa)+$"), answer).not_run, "nor is it taken for absent"
    assert check(endless, "aaa").passed
    assert matches(msgspec.structs.replace(told, not_run=""), answer).spans == ()
