"""What a stored opencode message becomes."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.sources.model import Message, as_sent, own_words
from lora_tui.sources.opencode.conversation import Conversation
from lora_tui.sources.opencode.rows import message_data, part_data

USER = {"role": "user", "agent": "build"}
ASSISTANT = {"role": "assistant", "mode": "build", "providerID": "lab", "modelID": "coder", "parentID": "m0"}
START = {"type": "step-start"}


def rebuilt(*stored: tuple[dict[str, Any], list[dict[str, Any]]]) -> list[Message]:
    conversation = Conversation()
    found: list[Message] = []
    for number, (data, parts) in enumerate(stored):
        decoded = ((f"p{index}", part_data(json.dumps(part).encode())) for index, part in enumerate(parts))
        found += conversation.add(f"m{number}", number, message_data(json.dumps(data).encode()), decoded)
    return found


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def tool(status: str = "completed", name: str = "bash", **state: Any) -> dict[str, Any]:
    return {
        "type": "tool",
        "callID": "c1",
        "tool": name,
        "state": {"status": status, "input": {"command": "ls"}, "time": {"start": 5}, **state},
    }


def test_one_text_is_sent_as_a_string_and_several_as_a_list() -> None:
    one, several = rebuilt((USER, [text("hi"), text("")]), (USER, [text("a"), text("b")]))
    assert as_sent(one)["content"] == "hi"
    assert as_sent(several)["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_text_that_opencode_added_is_sent_but_is_not_the_users_own() -> None:
    (message,) = rebuilt((USER, [text("Called the Read tool", synthetic=True), text("what is it?")]))
    assert own_words(message) == "what is it?"
    assert len(as_sent(message)["content"]) == 2  # type: ignore[arg-type]


def test_ignored_text_is_not_sent() -> None:
    assert rebuilt((USER, [text("secret", ignored=True)])) == []


@pytest.mark.parametrize(
    ("state", "content", "error"),
    [
        (tool(output="fine"), "fine", ""),
        (tool("error", error="no such file"), "no such file", "error"),
        (tool("pending"), "[Tool execution was interrupted]", "error"),
        (tool("running"), "[Tool execution was interrupted]", "error"),
        (tool(output="long", time={"start": 1, "compacted": 2}), "[Old tool result content cleared]", ""),
        (tool("error", error="aborted", metadata={"interrupted": True, "output": "early"}), "early", "error"),
        (tool("error", error="aborted", metadata={"interrupted": True}), "aborted", "error"),
        (tool(name="invalid", output="unknown tool"), "unknown tool", "invalid"),
    ],
)
def test_each_state_of_a_tool_call_says_what_the_model_was_told(state: Any, content: str, error: str) -> None:
    call, result = rebuilt((ASSISTANT, [START, state]))
    assert (call.role, call.content, call.tool_calls[0].id) == ("assistant", "", "c1")
    assert (result.role, result.content, result.about.error) == ("tool", content, error)


def test_a_failing_command_keeps_its_exit_code() -> None:
    _, result = rebuilt((ASSISTANT, [START, tool(output="boom", metadata={"exit": 101})]))
    assert result.about.exit == 101


def test_strange_metadata_of_other_tools_does_no_harm() -> None:
    _, result = rebuilt((ASSISTANT, [START, tool(output="x", metadata={"exit": "done", "sessionId": 3})]))
    assert (result.about.exit, result.about.child) == (None, "")


def test_an_answer_cut_off_by_the_provider_is_not_sent_again() -> None:
    refused = {**ASSISTANT, "error": {"name": "APIError", "data": {"statusCode": 400}}}
    (mark,) = rebuilt((refused, [START, text("half an ans")]))
    assert (mark.content, mark.about.origin, mark.about.error) == (None, "error", "APIError")


def test_a_stopped_answer_is_sent_when_it_said_something() -> None:
    stopped = {**ASSISTANT, "error": {"name": "MessageAbortedError", "data": {}}}
    assert rebuilt((stopped, [START, {"type": "reasoning", "text": "hm"}])) == []
    (message,) = rebuilt((stopped, [START, text("Well")]))
    assert message.about.interrupted


def test_a_picture_goes_along_as_an_image() -> None:
    url = f"data:image/png;base64,{base64.b64encode(b'dot').decode()}"
    (message,) = rebuilt((USER, [text("see"), {"type": "file", "mime": "image/png", "url": url}]))
    assert as_sent(message)["content"][1] == {"type": "image_url", "image_url": {"url": url}}  # type: ignore[index]


def test_a_picture_that_a_tool_read_follows_as_a_user_message() -> None:
    shown = {"mime": "image/png", "url": "data:image/png;base64,AA=="}
    _, result, follows = rebuilt((ASSISTANT, [START, tool(output="Image read", attachments=[shown])]))
    assert result.content == "Image read"
    assert follows.role == "user"
    assert own_words(follows) == ""


def test_an_answer_of_several_steps_becomes_several_messages() -> None:
    messages = rebuilt((ASSISTANT, [START, text("one"), tool(output="x"), START, text("two")]))
    assert [(m.role, m.content) for m in messages] == [("assistant", "one"), ("tool", "x"), ("assistant", "two")]


def test_arguments_stay_the_stored_text_byte_for_byte() -> None:
    stored = '{"b": 1.50,"a":"é\\u00e9","n":1e3}'
    part = '{"type":"tool","callID":"c","tool":"t","state":{"status":"completed","input":' + stored + "}}"
    conversation = Conversation()
    parts = [("p", part_data(part.encode()))]
    call, _ = conversation.add("m", 0, message_data(json.dumps(ASSISTANT).encode()), parts)
    assert call.tool_calls[0].function.arguments == stored


def test_half_a_character_becomes_the_replacement_character() -> None:
    assert (
        part_data(rb'{"type":"text","text":"cut \ud83d, \\ud83d, \ud83d\ude00"}').text
        == "cut \ufffd, \\ud83d, \U0001f600"
    )


PART = st.one_of(
    st.just(START),
    st.builds(text, st.text()),
    st.builds(lambda words: {"type": "reasoning", "text": words}, st.text()),
    st.builds(
        lambda out, status: tool(status, output=out, error=out),
        st.text(),
        st.sampled_from(["pending", "running", "completed", "error"]),
    ),
    st.just({"type": "patch", "hash": "0", "files": []}),
    st.just({"type": "step-finish", "reason": "stop"}),
)
STORED = st.lists(
    st.one_of(
        st.tuples(st.just(USER), st.lists(st.builds(text, st.text(), synthetic=st.booleans()))),
        st.tuples(st.just(ASSISTANT), st.lists(PART)),
    )
)


@given(STORED)
def test_every_call_is_answered_once_before_anybody_speaks_again(stored: Any) -> None:
    waiting: list[str] = []
    for message in rebuilt(*stored):
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call.id for call in message.tool_calls]
    assert waiting == []


@given(STORED)
def test_what_is_stored_comes_back_as_it_was(stored: Any) -> None:
    messages = rebuilt(*stored)
    again = [msgspec.json.decode(msgspec.json.encode(message), type=Message) for message in messages]
    assert again == messages


@given(STORED)
def test_nothing_the_user_typed_is_lost(stored: Any) -> None:
    typed = [part["text"] for data, parts in stored if data is USER for part in parts if not part["synthetic"]]
    assert "".join(own_words(m) for m in rebuilt(*stored) if m.role == "user").replace("\n", "") == "".join(
        typed
    ).replace("\n", "")
