"""Our suites are files of promptfoo, by the schema that promptfoo publishes.

Runs when $PROMPTFOO_SCHEMA names that schema (`site/static/config-schema.json` of promptfoo/promptfoo), with the
package jsonschema on the path (pip install --target DIR jsonschema; PYTHONPATH=DIR). Nothing is sent anywhere.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from lora_tui.verify.suites.drafts import skeleton
from lora_tui.verify.suites.suite import suite_paths
from lora_tui.workspace.layout import Workspace

SCHEMA = os.environ.get("PROMPTFOO_SCHEMA", "")
DATA = Path(__file__).parents[1] / "data" / "promptfoo"

pytestmark = pytest.mark.skipif(not SCHEMA, reason="set PROMPTFOO_SCHEMA to promptfoo's config-schema.json")


def problems(suite: Any) -> list[str]:
    validator = importlib.import_module("jsonschema").Draft7Validator(json.loads(Path(SCHEMA).read_text()))
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(suite)]


def test_every_shipped_suite_is_a_file_of_promptfoo(workspace: Workspace) -> None:
    paths = suite_paths(workspace)
    assert len(paths) >= 8
    for path in paths.values():
        assert problems(yaml.safe_load(path.read_text())) == [], path.name


def test_the_skeleton_of_a_new_suite_is_a_file_of_promptfoo() -> None:
    assert problems(yaml.safe_load(skeleton("mine"))) == []


def test_the_suite_that_is_read_unchanged_is_a_file_of_promptfoo() -> None:
    assert problems(yaml.safe_load((DATA / "support.yaml").read_text())) == []


def test_the_schema_in_the_tests_allows_nothing_that_promptfoos_does_not() -> None:
    suite = yaml.safe_load((DATA / "support.yaml").read_text())
    assert problems({**suite, "tests": [{"asert": []}]})
    assert problems({**suite, "tests": [{"assert": [{"type": "contains", "value": "a", "wieght": 1}]}]})
    assert problems({name: value for name, value in suite.items() if name != "prompts"})
