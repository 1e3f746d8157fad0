"""Together's rules: what is exported for it keeps them, and a file that breaks one is told so before an upload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.dataset import together_rules
from lora_tui.dataset.formats import together
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Function, ToolCall


def user(content: object = "Hi", **more: object) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def said(content: object = "Hello", **more: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


CALL = {"id": "a", "type": "function", "function": {"name": "read", "arguments": "{}"}}
OUTPUT = {"role": "tool", "content": "ok", "tool_call_id": "a"}
SYSTEM = {"role": "system", "content": "Be brief."}
PREFERENCE = {"input": {"messages": [user()]}, "preferred_output": [said()], "non_preferred_output": [said("No")]}

TAKEN = [
    {"messages": [user(), said()]},
    {"messages": [SYSTEM, user(), said(weight=0), user(), said(weight=1)]},
    {"messages": [user(), {"role": "assistant", "tool_calls": [CALL]}, OUTPUT, OUTPUT, said()], "tools": [{}]},
    {"messages": [user(), said(None, tool_calls=[CALL]), OUTPUT, said("", tool_calls=[CALL]), OUTPUT, said()]},
    {"messages": [user(), said()], "weight": 0.5},
    {"messages": [user(), said(reasoning="because")]},
    {"prompt": "a", "completion": "b"},
    {"text": "a"},
    PREFERENCE,
]
REFUSED = [
    ({"messages": []}, "at least one message"),
    ({"messages": "Hi"}, "must be a list"),
    ({"messages": [said(), user()]}, "message 1: at the beginning comes system or user, not assistant"),
    ({"messages": [user(), user(), said()]}, "message 2: after user comes assistant, not user"),
    ({"messages": [user(), said(), said()]}, "message 3: after assistant comes user, not assistant"),
    ({"messages": [user(), said(), OUTPUT, said()]}, "message 3: after assistant comes user, not tool"),
    ({"messages": [user(), said(tool_calls=[CALL]), said()]}, "after assistant comes tool, not assistant"),
    ({"messages": [SYSTEM, SYSTEM, user(), said()]}, "after system comes user, not system"),
    ({"messages": [user()]}, "no message of an assistant"),
    ({"messages": [user(None), said()]}, "message 1: without content"),
    ({"messages": [user(), {"role": "assistant"}]}, "message 2: without content or tool_calls"),
    ({"messages": [user(5), said()]}, "content must be text"),
    ({"messages": [{"role": "human", "content": "Hi"}, said()]}, "'human'"),
    ({"messages": [user(), said(weight=2)]}, "the weight must be 0 or 1"),
    ({"messages": [user(), said(weight=0.5)]}, "the weight must be 0 or 1"),
    ({"messages": [user(), said(tool_calls=[{"name": "read"}])]}, "tool_calls must be"),
    ({"messages": [user(), said()], "tools": "[]"}, "tools must be a list"),
    ({"messages": [user(), said()], "weight": -1}, "the row's weight"),
    ({"messages": [user(), said()], "text": "Hi"}, "could be messages or text"),
    ({"messages": [user(), said()], "lora_tui": "{}"}, "does not know: lora_tui"),
    ({"prompt": "a"}, "of no format"),
    ({"prompt": "a", "completion": 1}, "completion must be text"),
    (PREFERENCE | {"preferred_output": []}, "a list of one message"),
    (PREFERENCE | {"input": {"messages": [user(), said()]}}, "the last message of the input"),
]


@pytest.mark.parametrize("row", TAKEN)
def test_a_row_as_together_documents_it_is_taken(row: dict[str, Any]) -> None:
    assert list(together_rules.problems(row)) == []


@pytest.mark.parametrize(("row", "message"), REFUSED)
def test_a_row_that_breaks_a_rule_is_told_which(row: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in together_rules.problems(row))


def check(path: Path, *rows: object) -> list[tuple[int, str]]:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return [(problem.line, problem.message) for problem in together_rules.check(path)]


def test_one_file_holds_one_format(tmp_path: Path) -> None:
    found = check(tmp_path / "rows.jsonl", TAKEN[0], "", {"text": "Hi"}, TAKEN[1])
    assert found == [(3, "a row of text, where the rows before are messages: one format per file")]


def test_a_file_needs_a_row_and_the_right_ending(tmp_path: Path) -> None:
    assert check(tmp_path / "rows.jsonl", "") == [(0, "there is no row in it: the least is 1")]
    assert "must end in .jsonl" in check(tmp_path / "rows.json", TAKEN[0])[0][1]
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "\xe9"}')
    assert [problem.message for problem in together_rules.check(tmp_path / "latin.jsonl")] == ["not UTF-8"]


def test_a_file_that_is_too_large_for_an_upload_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(TAKEN[0]) + "\n")
    with path.open("r+b") as file:
        file.truncate(together_rules.LARGEST + 1)  # a hole: it takes no room
    assert "larger than 50.1 GiB" in next(together_rules.check(path)).message


def row(*messages: RowMessage) -> Row:
    return Row(id="r", messages=list(messages))


def test_requests_in_a_row_become_one_and_what_follows_the_last_learned_answer_goes() -> None:
    made = together.taken(
        row(
            RowMessage("user", "One"),
            RowMessage("user", "Two"),
            RowMessage("assistant", "Yes"),
            RowMessage("user", "And?"),
            RowMessage("assistant", "No", weight=0),
        )
    )
    assert made.data == {"messages": [user("One\n\nTwo"), said("Yes", weight=1)]}
    assert made.repairs == (together.CUT, together.JOINED)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ((RowMessage("user", "Hi"), RowMessage("assistant", "Hello", weight=0)), "learned"),
        ((RowMessage("assistant", "Hello"),), "beginning"),
        ((RowMessage("user", "Hi"), RowMessage("assistant", "A", weight=0), RowMessage("assistant", "B")), "assistant"),
        (
            (
                RowMessage("user", "Hi"),
                RowMessage("assistant", tool_calls=[ToolCall(id="a", function=Function("read", '{"a": '))]),
            ),
            "no JSON object",
        ),
    ],
)
def test_a_row_that_cannot_be_said_is_refused_with_the_reason(messages: tuple[RowMessage, ...], reason: str) -> None:
    with pytest.raises(together.Unfit, match=reason):
        together.taken(row(*messages))


calls = st.builds(ToolCall, id=st.just("a"), function=st.builds(Function, name=st.just("f"), arguments=st.just("{}")))
messages = st.builds(
    RowMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    tool_calls=st.just([]) | st.lists(calls, max_size=2),
    weight=st.sampled_from([0, 1]),
)


@settings(max_examples=500, deadline=None)
@given(said=st.lists(messages, max_size=6))
def test_what_is_written_for_together_always_keeps_its_rules(said: list[RowMessage]) -> None:
    try:
        made = together.taken(row(*said))
    except together.Unfit:
        return
    assert list(together_rules.problems(json.loads(json.dumps(made.data)))) == []
    learned = [message.content for message in said if message.role == "assistant" and message.weight]
    written = "\n\n".join(message["content"] for message in made.data["messages"] if message.get("weight"))
    assert all(content in written for content in learned)
