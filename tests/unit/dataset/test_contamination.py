"""A suite's prompt in the data is noticed, also when it is disguised a little; ordinary requests are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_tui.curation import suites
from lora_tui.dataset.contamination import Prompts, changed
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace.layout import Workspace

LONG = (
    "Write a function that counts the words of a text, most frequent ones first, without regard to upper or lower case."
)
REFERENCE = """def count(text):
    found = Counter(text.lower().split())
    return [word for word, _ in found.most_common()]
"""
SHORT = "Sort these lines by date"
GENERIC = "fix it"


def row(request: str, answer: str = "Done.", **more: object) -> Row:
    return Row(id="r", messages=[RowMessage("user", request), RowMessage("assistant", answer, **more)])  # type: ignore[arg-type]


@pytest.fixture
def prompts() -> Prompts:
    return Prompts([("words", LONG), ("words", REFERENCE), ("dates", SHORT), ("dates", GENERIC)])


@pytest.mark.parametrize(
    ("request_text", "kind"),
    [
        (LONG, "similar"),
        (LONG.upper().replace(" ", "\n  "), "similar"),
        (
            f"In our project at work we need one thing more. {LONG} Put it beside the others, please, and add a test.",
            "runs",
        ),
        (LONG.replace("most frequent", "least frequent"), "similar"),
        (f"{SHORT}", "same"),
        (f"Hello there!\n\n{SHORT}\n\n`a.txt`\n```\n1 May\n```", "same"),
    ],
)
def test_a_prompt_in_a_request_is_found(prompts: Prompts, request_text: str, kind: str) -> None:
    contact = prompts.like(row(request_text))
    assert contact is not None
    assert contact.kind == kind
    assert contact.suite == ("dates" if kind == "same" else "words")
    assert 0.5 <= contact.value <= 1


def test_the_expected_answer_is_found_in_what_is_answered_and_in_what_is_written(prompts: Prompts) -> None:
    said = prompts.like(row("Please", f"Like this:\n```python\n{REFERENCE}```\nIt counts the words, as you can see."))
    call = ToolCall(
        "c", Function("write", json.dumps({"filePath": "a.py", "content": "import collections\n" + REFERENCE}))
    )
    wrote = prompts.like(row("Please", "", tool_calls=[call]))
    assert said is not None
    assert wrote is not None
    assert said.prompt == wrote.prompt == REFERENCE


@pytest.mark.parametrize(
    "request_text",
    [
        "fix it",
        "Please fix it, the build is red again",
        "Write a function that counts the lines of a file",
        "First sort these lines by date, then by name, and leave out those that have neither of them",
        "Write a class for a basket that sums up prices, takes a discount off and is never negative.",
        "",
    ],
)
def test_other_requests_are_left_alone(prompts: Prompts, request_text: str) -> None:
    assert prompts.like(row(request_text)) is None


def test_what_a_tool_shows_is_not_what_is_learned(prompts: Prompts) -> None:
    seen = [
        RowMessage("system", LONG),
        RowMessage("user", "Run it"),
        RowMessage("tool", LONG),
        RowMessage("assistant", "Ran."),
    ]
    assert prompts.like(Row(id="r", messages=seen)) is None


def write_suite(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.profiles / "suites" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_suites_are_read_filled_in_with_what_they_expect(workspace: Workspace) -> None:
    path = write_suite(
        workspace,
        "mine",
        "prompts: ['In {{language}}: {{task}}', 'Say {{ task }}']\n"
        "defaultTest: {vars: {language: Ruby}}\n"
        "tests:\n"
        f"  - vars: {{task: count, reference: {json.dumps(REFERENCE)}}}\n"
        f"    assert: [{{type: contains-all, value: [short, {json.dumps(LONG)}]}},"
        " {type: not-contains, value: no}]\n",
    )
    assert list(suites.prompts(path)) == ["In Ruby: count", "Say count"]
    assert set(suites.references(path)) == {LONG, REFERENCE}
    mine = Prompts.of(workspace)
    assert mine.suite_like(row(LONG)) == "mine"
    assert mine.suite_like(row("Please sort the list")) == ""


def test_files_that_are_no_suites_stop_nothing(workspace: Workspace) -> None:
    for number, text in enumerate(
        ["tests: [}", "[]", "tests: 3", "tests: [1, {vars: 2, assert: 3}]", "prompts: {a: b}", "\0", ""]
    ):
        write_suite(workspace, f"bad{number}", text)
    assert Prompts.of(workspace).like(row(LONG)) is None


def test_a_changed_and_a_new_suite_are_noticed_a_reordered_one_is_not(workspace: Workspace) -> None:
    one, two = ("  - {vars: {prompt: Count the words}}\n", "  - {vars: {prompt: Sort the lines}}\n")
    write_suite(workspace, "mine", f"tests:\n{one}{two}")
    known = Prompts.of(workspace).fingerprint()
    assert changed(known, workspace) == []
    write_suite(workspace, "mine", f"description: other words\ntests:\n{two}{one}")
    assert changed(known, workspace) == []
    write_suite(workspace, "mine", f"tests:\n{two}{one}{one.replace('Count', 'Find')}")
    write_suite(workspace, "fresh", f"tests:\n{one}")
    assert changed(known, workspace) == ["fresh", "mine"]


def test_a_persons_own_suite_replaces_the_shipped_one_of_that_name(workspace: Workspace) -> None:
    shipped = row("Give me a Rust function for the sum of all numbers in a slice.")
    assert Prompts.of(workspace).suite_like(shipped) == "tiny"
    write_suite(workspace, "tiny", "tests:\n  - {vars: {prompt: Something quite different from what was shipped}}\n")
    assert Prompts.of(workspace).suite_like(shipped) == ""
