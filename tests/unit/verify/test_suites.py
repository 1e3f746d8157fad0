"""Suites are read strictly: what would silently not be checked is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.jobs.checks import check
from lora_tui.verify.statistics import exact_p, paired
from lora_tui.verify.suite import load_suite, read_suite, suite_paths
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
        ("is-json", None, '{"a": 1}', True),
        ("is-json", None, "{a: 1}", False),
        ("not-is-json", None, "{a: 1}", True),
    ],
)
def test_expectations_say_pass_and_fail(kind: str, value: object, answer: str, passes: bool) -> None:
    assert check(kind, value, kind, answer).passed is passes


def test_five_prompts_are_too_few_to_tell_and_the_report_says_so() -> None:
    result = paired([False] * 5, [True] * 5)
    assert (result.gained, result.lost, result.p) == (5, 0, 0.0625)
    assert result.verdict.startswith("Too few prompts to tell")


def test_enough_flips_one_way_are_a_verdict_and_both_ways_are_none() -> None:
    assert "fine-tune is better" in paired([False] * 8, [True] * 8).verdict
    assert "baseline is better" in paired([True] * 8, [False] * 8).verdict
    assert "No difference" in paired([True] * 4 + [False] * 4, [False] * 4 + [True] * 4).verdict


def test_the_exact_test_agrees_with_published_values() -> None:
    assert exact_p(6, 0) == pytest.approx(0.03125)
    assert exact_p(9, 1) == pytest.approx(0.021484375)
    assert exact_p(0, 0) == 1.0
