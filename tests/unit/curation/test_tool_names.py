"""Every agent's tools under one name: what is compared and exported says the same whoever wrote it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.curation.tool_names import canonical, kind, patch_in, table, waits
from lora_tui.sources.model import Function, ToolCall

CASES = [case for tool in table().tool.values() for case in tool.yes]


def call(name: str, arguments: object) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(id="call_1", function=Function(name=name, arguments=text))


@pytest.mark.parametrize(("name", "arguments", "to", "expected"), CASES, ids=lambda value: str(value)[:24])
def test_every_row_translates_its_own_cases(name: str, arguments: str, to: str, expected: str) -> None:
    translated = canonical(call(name, arguments))
    assert translated is not None
    assert (translated.function.name, json.loads(translated.function.arguments)) == (
        to,
        json.loads(expected),
    )


def test_a_translated_call_stays_as_it_is_when_it_is_translated_again() -> None:
    for name, arguments, *_ in CASES:
        once = canonical(call(name, arguments))
        assert once is not None
        assert canonical(once) is once


def test_a_call_in_opencodes_own_words_is_the_very_same_call() -> None:
    own = call("edit", '{"filePath" : "a.rs", "oldString":"x","newString":"y"}')
    assert canonical(own) is own


@pytest.mark.parametrize("name", ["NotebookEdit", "MultiEdit", "mcp__jira__search", "write_stdin", "LS"])
def test_a_tool_without_a_counterpart_has_no_translation(name: str) -> None:
    assert canonical(call(name, {})) is None


@pytest.mark.parametrize("arguments", ['{"filePath": "a', "[1]", "7", "null"])
def test_arguments_that_are_no_object_have_no_translation(arguments: str) -> None:
    assert canonical(call("edit", arguments)) is None


def test_a_bare_patch_is_a_patch() -> None:
    translated = canonical(call("apply_patch", "*** Begin Patch\n*** Add File: a.py\n+x\n*** End Patch"))
    assert translated is not None
    assert json.loads(translated.function.arguments)["patchText"].startswith("*** Begin Patch")


def test_a_patch_sent_through_the_shell_is_an_edit_but_a_command_around_it_is_a_command() -> None:
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+y\n*** End Patch"
    assert patch_in(["bash", "-lc", f"apply_patch <<'EOF'\n{patch}\nEOF\n"]) == patch
    assert patch_in(f"apply_patch <<'EOF'\n{patch}\nEOF\n && make") == ""
    translated = canonical(call("shell", {"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{patch}\nEOF"]}))
    assert translated is not None
    assert translated.function.name == "apply_patch"


def test_kinds_are_known_by_every_agents_names() -> None:
    for name, expected in (
        ("Bash", "command"),
        ("exec_command", "command"),
        ("MultiEdit", "edit"),
        ("apply_patch", "edit"),
        ("Read", "read"),
        ("Grep", "search"),
        ("TodoWrite", "other"),
        ("somebody_elses", "other"),
    ):
        assert kind(name) == expected, name
    assert waits("write_stdin")
    assert not waits("bash")


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text() | st.lists(st.text())), st.sampled_from(CASES))
def test_no_arguments_make_a_translation_fail(arguments: dict[str, object], case: tuple[str, str, str, str]) -> None:
    translated = canonical(call(case[0], arguments))
    assert translated is None or isinstance(json.loads(translated.function.arguments), dict)
