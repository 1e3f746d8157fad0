"""New suites: a commented skeleton, or one made of a dataset's held-out test examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import yaml

from lora_tui.dataset import stored
from lora_tui.dataset.model import Dataset, Row
from lora_tui.verify.code_checks import code_of
from lora_tui.verify.sandbox import parses
from lora_tui.workspace.errors import BadInput

_LONGEST_REFERENCE = 4000  # characters
_DESCRIPTION = 60
_FENCED = re.compile(r"^[ \t]*(```|~~~)", re.M)

SKELETON = """\
# A verification suite, in promptfoo's format: `lora-tui suites check {name}` says what is wrong with it.
description: What this suite is about, in a line
prompts:
  - "{{{{prompt}}}}" # each test's `vars` fill it in; any other {{{{name}}}} is filled in the same way

# Every test gets these expectations besides its own.
defaultTest:
  metadata:
    language: python # of the x-code-… checks below
  assert:
    - type: not-icontains
      value: as an AI

# How many samples are taken of each prompt.
evaluateOptions:
  repeat: 5

tests:
  - description: A short name, shown in lists
    vars:
      prompt: Write a Python function `double(n)` that returns twice the number n.
    assert:
      # The answer's first code block, with these tests after it, in a sandbox: they pass when nothing raises.
      - type: x-code-tests
        value:
          tests: |
            assert double(4) == 8
            assert double(-1) == -2
          timeout: 10 # seconds

  - description: Facts that need no code
    vars:
      prompt: Which exit status does a Unix command give when all went well? Answer with the number alone.
    assert:
      - type: regex # Python's regular expressions
        value: '^\\s*0\\.?\\s*$'

  - description: Some expectations matter more
    threshold: 0.6 # of the weights of all expectations; without it all must be met
    vars:
      prompt: Name the three states of water, in one line, separated by commas.
    assert:
      - type: icontains-all
        value: [solid, liquid, gas]
        weight: 3
      - type: word-count
        value: {{max: 12}}
        weight: 2

# Also known: contains, icontains, contains-all, contains-any, icontains-any, equals, starts-with, is-json,
# contains-json, levenshtein, latency (threshold in ms), x-code-parses, x-code-runs; each also as not-….
# Carried and "not run" until somebody judges: llm-rubric, similar, human, select-best, javascript, python, cost.
"""


def skeleton(name: str) -> str:
    """A suite to write into, with a comment for everything that can stand in it."""
    return SKELETON.format(name=name)


def from_test(dataset: Dataset, most: int) -> str:
    """A suite of up to `most` test examples of a dataset, one for each request, in the dataset's order.

    Each asks what a person asked. What the example answered is the reference: it stands in `metadata.reference`, its
    code must parse in the answer too, and where it has none a judge is asked whether the answer says the same, which is
    "not run" without one. Raises BadInput when no test example begins with a request that stands alone.
    """
    tests = list(_first(_tests(stored.rows(dataset, "test")), most))
    if not tests:
        raise BadInput(
            "no test example holds a request with an answer in text",
            where=dataset.label,
            fix="Build the dataset with a test split, of examples that end in an answer.",
        )
    suite = {
        "description": f"{len(tests)} held-out test examples of {dataset.label}",
        "prompts": ["{{prompt}}"],
        "tests": tests,
    }
    head = (
        f"# Made of test examples of {dataset.label}. What is expected is a beginning: write into `assert` what a\n"
        "# right answer must show (contains, regex, x-code-tests, …), and try it: lora-tui suites check FILE\n"
    )
    return head + yaml.dump(suite, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as people do."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _first(found: Iterable[dict[str, object]], most: int) -> Iterator[dict[str, object]]:
    for number, test in enumerate(found):
        if number == most:
            return
        yield test


def _tests(rows: Iterable[Row]) -> Iterator[dict[str, object]]:
    seen = set()
    for row in rows:
        request = next((item.content for item in row.messages if item.role == "user" and item.content.strip()), "")
        last = row.messages[-1] if row.messages else None
        reference = last.content.strip() if last is not None and last.role == "assistant" else ""
        if not request or not reference or request in seen or _templated(request):
            continue
        seen.add(request)
        yield {
            "description": " ".join(request.split())[:_DESCRIPTION],
            "vars": {"prompt": request},
            "metadata": {
                **({"language": row.language} if row.language else {}),
                "row": row.id,
                "reference": reference[:_LONGEST_REFERENCE],
            },
            "assert": [_expected(row.language, reference)],
        }


def _templated(text: str) -> bool:
    """Whether promptfoo would take a part of it for a template."""
    return "{{" in text or "{%" in text or "{#" in text


def _expected(language: str, reference: str) -> dict[str, object]:
    if language and _FENCED.search(reference) and parses(language, code_of(reference, language)).verdict == "passed":
        return {"type": "x-code-parses"}
    return {"type": "llm-rubric", "value": f"Says the same as this reference:\n{reference[:_LONGEST_REFERENCE]}"}
