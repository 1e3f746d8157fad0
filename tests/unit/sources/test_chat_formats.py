"""Rows of chat files: every format becomes the same conversation, and what fits none says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.chat.formats import conversation

ASK, ANSWER = "Write a function that adds two numbers.", "```python\ndef add(a, b):\n    return a + b\n```"

SAME: dict[str, dict[str, Any]] = {
    "ShareGPT": {"conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": ANSWER}]},
    "messages": {"messages": [{"role": "user", "content": ASK}, {"role": "assistant", "content": ANSWER}]},
    "ChatML text": {
        "text": f"<|im_start|>user\n{ASK}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>\n",
    },
    "Alpaca": {"instruction": ASK, "input": "", "output": ANSWER},
    "prompt/completion": {"prompt": ASK, "completion": ANSWER},
    "interaction log": {
        "task": {"description": ASK},
        "agent": {"role": "Python developer"},
        "execution": {"output": ANSWER},
    },
}


@pytest.mark.parametrize("name", SAME)
def test_every_format_is_detected_and_gives_the_same_conversation(name: str) -> None:
    found = conversation(SAME[name])
    assert found.format == name
    assert [(message.role, message.content) for message in found.messages] == [("user", ASK), ("assistant", ANSWER)]
    assert found.title == ASK


def test_columns_that_a_table_fills_with_null_do_not_count() -> None:
    row = {"messages": None, "conversations": None, **SAME["Alpaca"], "system": None, "text": None}
    assert conversation(row).format == "Alpaca"


def test_sharegpt_calls_and_their_observations_become_tool_calls() -> None:
    found = conversation(
        {
            "system": "You fix code.",
            "conversations": [
                {"from": "human", "value": "Fix src/lib.rs please."},
                {"from": "function_call", "value": '{"name": "read", "arguments": {"filePath": "src/lib.rs"}}'},
                {"from": "observation", "value": "fn main() {}"},
                {"from": "gpt", "value": "It is fine.", "weight": 0},
            ],
        }
    )
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "tool", "assistant"]
    call = found.messages[2].tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("read", {"filePath": "src/lib.rs"})
    assert found.messages[3].tool_call_id == call.id
    assert found.messages[4].about.weight == 0


def test_parallel_calls_without_ids_get_their_own_outputs() -> None:
    found = conversation(
        {
            "messages": [
                {"role": "user", "content": "Look at both files."},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"function": {"name": "read", "arguments": {"filePath": "a"}}},
                        {"function": {"name": "bash", "arguments": {"command": "ls"}}},
                    ],
                },
                {"role": "tool", "name": "bash", "content": "a b"},
                {"role": "tool", "name": "read", "content": "text of a"},
                {"role": "assistant", "content": "Done."},
            ]
        }
    )
    read, bash = found.messages[1].tool_calls
    assert [message.tool_call_id for message in found.messages[2:4]] == [bash.id, read.id]


def test_arguments_stay_byte_for_byte_where_the_row_has_text() -> None:
    arguments = '{ "command":   "ls" , "x": 1.0}'
    calls = [{"id": "c7", "type": "function", "function": {"name": "bash", "arguments": arguments}}]
    messages = [{"role": "user", "content": "Go on then."}, {"role": "assistant", "content": None, "tool_calls": calls}]
    call = conversation({"messages": messages}).messages[1].tool_calls[0]
    assert (call.id, call.function.arguments) == ("c7", arguments)


def test_pictures_and_several_texts_are_kept_as_parts() -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png,x"}}]
    found = conversation({"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "A dot."}]})
    assert isinstance(found.messages[0].content, list)
    assert len(found.messages[0].content) == 2


def test_alpaca_history_comes_before_the_question_and_the_input_below_it() -> None:
    row = {"instruction": "Sort it.", "input": "[3, 1]", "output": "[1, 3]", "history": [["Hello.", "Hi."]]}
    contents = [message.content for message in conversation(row).messages]
    assert contents == ["Hello.", "Hi.", "Sort it.\n\n[3, 1]", "[1, 3]"]


def test_prompt_and_completion_may_be_message_lists() -> None:
    row = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASK}],
        "completion": [{"role": "assistant", "content": ANSWER}],
    }
    assert [message.role for message in conversation(row).messages] == ["system", "user", "assistant"]


def test_the_role_of_an_interaction_logs_agent_is_its_agent() -> None:
    assert conversation(SAME["interaction log"]).agent == "Python developer"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"chosen": "a", "rejected": "secret-value"}, "its keys: chosen, rejected"),
        ({"messages": [{"role": "user", "content": "a"}]}, "no answer of an assistant"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "no message of a user"),
        ({"messages": [{"role": "narrator", "content": "a"}]}, "unknown role 'narrator'"),
        ({"messages": "text"}, "messages is no list of messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "content is a number"),
        ({"messages": [{"role": "user", "content": None}]}, "a user message without content"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "cannot be read: video"),
        ({"messages": [{"role": "user", "content": "a", "weight": 2}]}, "neither 0 nor 1"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}, "a tool call without a name"),
        ({"conversations": [{"from": "function_call", "value": "{oops"}]}, "function_call is not JSON"),
        ({"text": "before <|im_start|>user\nhello<|im_end|>"}, "text outside"),
        ({"task": "x", "execution": {"output": "y"}}, "must be objects"),
        (["a"], "no object but a list"),
        ("a", "no object but text"),
    ],
)
def test_a_row_that_does_not_fit_says_why_without_its_contents(row: object, why: str) -> None:
    with pytest.raises(NotAChat) as caught:
        conversation(row)
    assert why in str(caught.value)
    assert "secret-value" not in str(caught.value)
