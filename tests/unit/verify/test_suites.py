"""Suites are read strictly: what would silently not be checked is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from lora_tui.jobs.checks import CARRIED, Expectation, check, verdict
from lora_tui.jobs.journal import Answer, Check
from lora_tui.verify.reports import markdown as report_markdown
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.statistics import compare, exact_p
from lora_tui.verify.suites.reading import Reader
from lora_tui.verify.suites.suite import Suite, load_suite, read_suite, suite_paths
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

GOOD = """\
description: Rust basics
prompts: ["{{prompt}}"]
defaultTest:
  assert: [{type: not-contains, value: sorry}]
tests:
  - description: a sum
    vars: {prompt: "Add the numbers"}
    assert:
      - {type: contains, value: ".sum("}
      - {type: regex, value: 'fn \\w+'}
"""


def test_a_suite_with_promptfoos_names_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "rust.yaml"
    path.write_text(GOOD)
    suite = read_suite(path)
    assert (suite.name, suite.description) == ("rust", "Rust basics")
    (case,) = suite.cases
    assert case.prompt == "Add the numbers"
    assert [item.type for item in case.expectations] == ["not-contains", "contains", "regex"]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("description: Rust basics", "descripton: Rust", 1, "unknown key 'descripton'"),
        ("{type: contains,", "{type: contians,", 9, "unknown expectation 'contians'"),
        ("value: 'fn \\w+'", "value: 'fn ('", 10, "not a regular expression"),
        ('{prompt: "Add the numbers"}', '{promt: "Add"}', 6, "needs `vars: prompt`"),
        ("    vars:", "    repeat: 3\n    vars:", 7, "unknown key 'repeat'"),
        ("    vars:", "    options: {transform: output.trim()}\n    vars:", 7, "`transform` is code of the suite"),
        ("{type: contains, value", "{type: x-code-test, value", 9, "unknown expectation 'x-code-test'"),
        ('{type: contains, value: ".sum("}', "{type: contains}", 9, "contains needs a `value`"),
        ('{type: contains, value: ".sum("}', "{type: latency}", 9, "latency needs a `threshold`"),
        ('{type: contains, value: ".sum("}', "{type: x-code-tests, value: {language: ruby}}", 9, "needs `tests`"),
        ('{type: contains, value: ".sum("}', "{type: x-code-runs}", 6, "needs a language"),
        ('prompts: ["{{prompt}}"]', 'prompts: ["{% if x %}{{prompt}}"]', 6, "only {{name}} is filled in"),
        ('{type: contains, value: ".sum("}', "{type: contains, value: ''}", 9, "the value of contains is empty"),
        ('{type: contains, value: ".sum("}', "{type: contains-all, value: []}", 9, "contains-all is empty"),
        (
            '{type: contains, value: ".sum("}',
            "{type: contains-any, value: [a, ~]}",
            9,
            "contains-any is empty, or a text",
        ),
        ('{type: contains, value: ".sum("}', "{type: not-icontains-any, value: ', '}", 9, "icontains-any is empty"),
        ("value: 'fn \\w+'", "value: 'a{99999999999}'", 10, "not a regular expression"),
        ("tests:", "tests: [", 0, "not valid YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        read_suite(path)
    assert caught.value.where.startswith(f"{path}:")
    assert not line or caught.value.where == f"{path}:{line}"


def test_every_shipped_suite_is_valid(workspace: Workspace) -> None:
    names = suite_paths(workspace)
    assert "tiny" in names
    for name in names:
        assert load_suite(workspace, name).cases


@pytest.mark.parametrize(
    ("kind", "value", "answer", "passes"),
    [
        ("contains", "fn ", "fn main", True),
        ("contains", "Fn", "fn main", False),
        ("icontains", "FN", "fn main", True),
        ("not-contains", "sorry", "fn main", True),
        ("contains-all", ["fn", "main"], "fn main", True),
        ("contains-all", "fn, loop", "fn main", False),
        ("contains-any", ["loop", "fn"], "fn main", True),
        ("regex", r"fn \w+", "fn main", True),
        ("equals", "fn", "fn ", False),
        ("starts-with", "fn", "fn main", True),
        ("icontains-all", ["FN", "Main"], "fn main", True),
        ("icontains-any", ["LOOP", "Fn"], "fn main", True),
        ("not-icontains-any", ["loop", "MAIN"], "fn main", False),
        ("equals", {"a": [1, 2]}, '{"a":[1,2]}', True),
        ("equals", True, "true", True),
        ("contains-json", None, 'Here: {"a": 1}.', True),
        ("contains-json", None, "Here: {a}.", False),
        ("word-count", {"max": 2}, "fn main", True),
        ("word-count", 3, "fn main", False),
        ("levenshtein", "fn mian", "fn main", True),
        ("is-json", None, '{"a": 1}', True),
        ("is-json", None, "{a: 1}", False),
        ("not-is-json", None, "{a: 1}", True),
    ],
)
def test_expectations_say_pass_and_fail(kind: str, value: object, answer: str, passes: bool) -> None:
    assert check(Expectation(kind, value), answer).passed is passes


def test_a_language_is_the_same_with_capitals(tmp_path: Path) -> None:
    path = tmp_path / "languages.yaml"
    path.write_text(
        "tests:\n  - {vars: {prompt: a}, metadata: {language: Python}, assert: [{type: x-code-parses}]}\n"
        "  - {vars: {prompt: b}, assert: [{type: x-code-parses, value: Ruby}]}\n"
    )
    one, other = read_suite(path).cases
    assert one.language == "python"
    assert [item.expectations[0].value for item in (one, other)] == [{"language": "python"}, {"language": "ruby"}]


def test_every_mistake_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace("contains, value", "contians, value").replace("'fn \\w+'", "'fn ('"))
    suite, problems = Reader(path).read()
    assert suite is None
    assert [item.where for item in problems] == [f"{path}:4", f"{path}:9", f"{path}:10"]


def test_a_judged_expectation_is_not_run_until_somebody_judges_and_never_passed() -> None:
    for kind in CARRIED:
        for name in (kind, f"not-{kind}"):
            result = check(Expectation(name, "x", threshold=1.0), "an answer")
            assert (result.passed, bool(result.not_run)) == (False, True), name
    assert check(Expectation("latency", threshold=1500.0), "an answer", seconds=1.4).passed
    assert not check(Expectation("latency", threshold=1500.0), "an answer", seconds=1.6).passed
    assert check(Expectation("is-json", {"type": "object"}), "{}").not_run


def test_a_prompt_passes_by_all_its_expectations_or_by_its_threshold_and_is_undecided_where_one_is_not_run() -> None:
    met, missed = Check("a", passed=True), Check("b", passed=False)
    unknown = Check("c", passed=False, not_run="no ruby")
    assert verdict([met, met]) == "passed"
    assert verdict([met, missed]) == "failed"
    assert verdict([met, missed], 0.5) == "passed"
    assert verdict([met, replace(missed, weight=3.0)], 0.5) == "failed"
    assert verdict([met, replace(missed, weight=0.0)]) == "passed"
    assert verdict([met, unknown]) == "not run"
    assert verdict([missed, unknown]) == "not run"
    assert verdict([met, replace(unknown, weight=0.0)]) == "passed"


def test_a_prompt_that_cannot_be_judged_here_counts_for_neither_side_and_the_report_says_why(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(GOOD)
    case = read_suite(tmp_path / "s.yaml").cases[0]
    suite = Suite("s", "", tmp_path, (case, case))
    unknown = Check("x-code-tests (ruby)", passed=False, not_run="there is no ruby on PATH")
    heard = Heard.of(
        [
            Answer(prompt=number, side=side, text="t", checks=(unknown,) if number else (Check("a", True),))
            for number in (0, 1)
            for side in ("baseline", "tuned")
        ]
    )
    made = conclude("r", suite, {"baseline": "a", "tuned": "b"}, heard)
    assert (made.result.prompts, made.tallies["baseline"], made.not_run) == (1, (1, 1), 1)
    assert "1 of 2 prompts were not judged (there is no ruby on PATH)" in made.verdict
    assert "– x-code-tests (ruby): not run, there is no ruby on PATH" in report_markdown.markdown(made)


def test_five_prompts_are_too_few_to_tell_and_eight_that_all_flip_one_way_are_not() -> None:
    five = compare([[False]] * 5, [[True]] * 5)
    assert (five.gained, five.lost, five.p) == (5, 0, 0.0625)
    assert five.verdict.startswith("Too few prompts to tell")
    assert "fine-tune is better" in compare([[False]] * 12, [[True]] * 12).verdict
    assert "fine-tune is worse" in compare([[True]] * 12, [[False]] * 12).verdict


def test_the_exact_test_agrees_with_published_values() -> None:
    assert exact_p(6, 0) == pytest.approx(0.03125)
    assert exact_p(9, 1) == pytest.approx(0.021484375)
    assert exact_p(0, 0) == 1.0
