"""Suites go both ways: promptfoo's files are read as they are, and ours without own checks are files of promptfoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from json_schemas import broken
from lora_tui.verify.suites.drafts import skeleton
from lora_tui.verify.suites.suite import read_suite, suite_paths
from lora_tui.workspace.layout import Workspace

DATA = Path(__file__).parents[2] / "data" / "promptfoo"
SCHEMA: dict[str, Any] = json.loads((DATA / "schema.json").read_text())
SHIPPED = ("general", "gerbil", "python", "ruby", "rust", "swift", "tiny", "typescript")


def problems(text: str) -> list[str]:
    return list(broken(yaml.safe_load(text), SCHEMA, SCHEMA))


def without_own_checks(text: str) -> str:
    """The suite with its x- assertions taken out."""
    suite = yaml.safe_load(text)
    for test in [suite.get("defaultTest", {}), *suite["tests"]]:
        if "assert" in test:
            test["assert"] = [item for item in test["assert"] if not item["type"].removeprefix("not-").startswith("x-")]
    return yaml.safe_dump(suite)


def test_a_suite_written_for_promptfoo_loads_unchanged() -> None:
    assert problems((DATA / "support.yaml").read_text()) == []
    suite = read_suite(DATA / "support.yaml")
    assert (len(suite.cases), suite.repeat) == (8, 3)
    hours = suite.cases[0]
    assert hours.prompt == "You work for Acme. Answer in English: When are you open?"
    assert suite.cases[2].prompt == "You work for Acme. Answer in German: When are you open?"
    assert suite.cases[1].prompt == "When are you open? Answer in one sentence in English."
    assert [item.type for item in hours.expectations] == ["not-icontains-any", "latency", "contains-any", "regex"]
    assert hours.expectations[2].value == ["9 to 17", "9 bis 17"]
    assert (hours.threshold, hours.expectations[3].weight, hours.expectations[1].threshold) == (0.5, 2.0, 8000.0)
    order = suite.cases[4]
    assert [(item.type, item.value, item.metric) for item in order.expectations] == [
        ("is-json", None, ""),
        ("not-icontains-any", ["stupid", "shut up"], ""),
        ("not-icontains-any", "idiot, fool", "tone"),
    ]
    assert order.prompt.endswith("Give me the order as JSON. No code fence.")
    assert suite.cases[6].tags == ("refund",)
    assert [item.type for item in suite.cases[6].expectations[2:]] == ["llm-rubric", "similar"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_suite_without_own_checks_is_a_file_of_promptfoo(workspace: Workspace, name: str) -> None:
    text = suite_paths(workspace)[name].read_text()
    if name in ("general", "gerbil", "tiny"):
        assert problems(text) == []
    assert problems(without_own_checks(text)) == []


def test_the_skeleton_of_a_new_suite_is_a_file_of_promptfoo_but_for_its_own_check() -> None:
    assert problems(without_own_checks(skeleton("mine"))) == []


def test_the_schema_notices_what_promptfoo_does_not_know() -> None:
    good = (DATA / "support.yaml").read_text()
    assert problems(good.replace("type: is-json", "type: x-code-parses"))
    assert problems(good.replace("threshold: 0.5", "treshold: 0.5"))
    assert problems(good.replace("description: Answers of", "descripton: Answers of"))


def test_prompts_and_values_may_stand_in_files_beside_the_suite(tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("First: {{q}}\n---\nSecond: {{q}}\n")
    (tmp_path / "q.md").write_text("why?\n")
    path = tmp_path / "s.yaml"
    path.write_text(
        "prompts: file://ask.txt\ntests:\n  - vars: {q: 'file://q.md'}\n    assert: [{type: contains, value: a}]\n"
    )
    assert [case.prompt for case in read_suite(path).cases] == ["First: why?", "Second: why?"]
