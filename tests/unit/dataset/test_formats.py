"""Every format keeps every row: what is exported, imported and exported again is the same, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from format_rows import arguments, rows, text
from lora_tui.dataset.formats import line
from lora_tui.dataset.formats.beside import KEY
from lora_tui.dataset.formats.formats import FORMATS
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.model import Function, ToolCall


def call(identity: str, name: str, given: str) -> ToolCall:
    return ToolCall(id=identity, function=Function(name=name, arguments=given))


AGENT = Row(
    id="row-1",
    messages=[
        RowMessage("system", "You write Rust."),
        RowMessage("user", "Fix the lib."),
        RowMessage("assistant", "Let me look.", "hm", [call("c9", "read", '{"path":  "lib.rs"}')], weight=0),
        RowMessage("tool", "fn f() {}", tool_call_id="c9"),
        RowMessage("assistant", "Done: `fn f() -> i32 { 1 }`"),
    ],
    language="rust",
    source="opencode",
    session="ses_1",
    key="k1",
    toolset="build",
    tools=[{"type": "function", "function": {"name": "read", "parameters": {"default": None}}}],
)


def fields(row: Row, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line.write(row, FORMATS[name]))
    return found


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=rows)
def test_a_row_that_is_exported_imported_and_exported_again_is_the_same_to_the_byte(name: str, row: Row) -> None:
    written = line.write(row, FORMATS[name])
    read = line.read(msgspec.json.decode(written))
    assert (read.row, read.edited) == (row, False)
    assert line.write(read.row, FORMATS[name]) == written


@pytest.mark.parametrize("name", FORMATS)
def test_a_message_of_five_megabytes_comes_back_whole(name: str) -> None:
    huge = "fn f() { 1 } // \u2028 é\n" * 240_000
    given_call = call("c1", "write", json.dumps({"content": huge}))
    row = Row(
        id="r", messages=[RowMessage("user", huge), RowMessage("assistant", "", tool_calls=[given_call], weight=1)]
    )
    written = line.write(row, FORMATS[name])
    read = line.read(msgspec.json.decode(written))
    assert len(huge.encode()) > 5_000_000
    assert read.row == row
    assert line.write(read.row, FORMATS[name]) == written


@pytest.mark.parametrize("name", FORMATS)
def test_a_program_that_orders_keys_anew_and_fills_in_nulls_has_edited_nothing(name: str) -> None:
    found = fields(AGENT, name)
    again = {key: found[key] for key in sorted(found)} | {"label": None}
    for message in again.get("messages", []):
        message.setdefault("tool_calls", None)
        message.setdefault("weight", None)
    read = line.read(again)
    assert (read.row, read.edited) == (AGENT, False)


@pytest.mark.parametrize("name", FORMATS)
def test_an_edit_made_elsewhere_wins_and_what_the_format_cannot_say_stays(name: str) -> None:
    exported = line.write(AGENT, FORMATS[name]).decode()
    before, beside, after = exported.partition(f'"{KEY}"')
    read = line.read(json.loads(before.replace("{ 1 }", "{ 2 }") + beside + after))
    assert read.edited
    assert read.row.messages[-1].content == "Done: `fn f() -> i32 { 2 }`"
    assert read.row.messages[:-1] == AGENT.messages[:-1]
    assert (read.row.key, read.row.language, read.row.toolset) == ("k1", "rust", "build")
    assert read.row.tools == AGENT.tools
    assert read.row.id == line.row_id(read.row.messages) != AGENT.id


@pytest.mark.parametrize("name", ["messages", "sharegpt", "chatml"])
def test_a_turn_added_elsewhere_stands_among_the_turns_as_they_were(name: str) -> None:
    longer = msgspec.structs.replace(
        AGENT, messages=[*AGENT.messages, RowMessage("user", "Thanks!"), RowMessage("assistant", "Welcome.")]
    )
    shown = fields(longer, name)
    shown[KEY] = fields(AGENT, name)[KEY]
    read = line.read(shown)
    assert read.edited
    assert read.row.messages == longer.messages


def test_what_stands_beside_a_row_is_not_believed_when_it_says_another_thing() -> None:
    shown = fields(AGENT, "alpaca")
    beside = json.loads(shown[KEY])
    beside["messages"][-1]["content"] = "rm -rf /"
    shown[KEY] = json.dumps(beside)
    read = line.read(shown)
    assert read.edited
    assert read.row.messages[-1].content == "Done: `fn f() -> i32 { 1 }`"


def test_plain_chats_are_not_written_twice() -> None:
    plain = Row(id="r", messages=[RowMessage("user", "Hi"), RowMessage("assistant", "Hello!")])
    for name in FORMATS:
        assert line.write(plain, FORMATS[name]).count(b"Hello!") == 1


def test_each_format_says_what_its_readers_expect() -> None:
    assert fields(AGENT, "messages")["messages"][2] == {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "c9", "type": "function", "function": {"name": "read", "arguments": '{"path":  "lib.rs"}'}}
        ],
        "weight": 0,
    }
    assert fields(AGENT, "sharegpt")["conversations"] == [
        {"from": "human", "value": "Fix the lib."},
        {"from": "gpt", "value": "<think>\nhm\n</think>\n\nLet me look.", "weight": 0},
        {"from": "function_call", "value": '{"name": "read", "arguments": {"path":  "lib.rs"}}', "weight": 0},
        {"from": "observation", "value": "fn f() {}"},
        {"from": "gpt", "value": "Done: `fn f() -> i32 { 1 }`"},
    ]
    alpaca = fields(AGENT, "alpaca")
    assert alpaca["system"] == "You write Rust."
    assert alpaca["history"][0][0] == "Fix the lib."
    assert alpaca["instruction"] == "<tool_response>\nfn f() {}\n</tool_response>"
    assert (alpaca["input"], alpaca["output"]) == ("", "Done: `fn f() -> i32 { 1 }`")
    split = fields(AGENT, "prompt-completion")
    assert [message["role"] for message in split["prompt"]] == ["system", "user", "assistant", "tool"]
    assert split["completion"] == [{"role": "assistant", "content": "Done: `fn f() -> i32 { 1 }`"}]
    assert json.loads(fields(AGENT, "parquet")["tools"]) == AGENT.tools


def test_an_answer_kept_out_of_the_loss_is_never_what_a_format_trains_on() -> None:
    later = [*AGENT.messages, RowMessage("user", "And now?"), RowMessage("assistant", "WRONG", weight=0)]
    row = msgspec.structs.replace(AGENT, messages=later)
    assert fields(row, "alpaca")["output"] == "Done: `fn f() -> i32 { 1 }`"
    assert fields(row, "prompt-completion")["completion"][0]["content"] == "Done: `fn f() -> i32 { 1 }`"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "no object"),
        ({"x": 1}, "none of the known formats"),
        ({"messages": [{"role": "user", "content": "hi"}], KEY: "{"}, "damaged"),
        ({"x": 1, KEY: '{"shown":"","id":""}'}, "no known format"),
        ({"text": "plain text", KEY: '{"shown":"","id":""}'}, "outside"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "no answer"),
        ({"conversations": [{"from": "function_call", "value": "{"}], KEY: '{"shown":"","id":""}'}, "not JSON"),
    ],
)
def test_a_row_that_cannot_be_one_says_why(data: object, reason: str) -> None:
    with pytest.raises(NotAChat, match=reason):
        line.read(data)


@pytest.mark.parametrize(
    "foreign",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "model": "m"},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"prompt": "Hi", "completion": "Hello"},
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"},
        {"task": {"description": "Hi"}, "execution": {"output": "Hello"}, "agent": {"model": "m"}},
    ],
)
def test_rows_of_other_programs_are_read_in_every_shape(foreign: dict[str, Any]) -> None:
    row = line.read(foreign).row
    assert [(message.role, message.content) for message in row.messages] == [("user", "Hi"), ("assistant", "Hello")]
    assert (row.origin, row.source, row.shape) == ("import", "chat", "plain")


def test_a_picture_is_refused_by_name() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    said = [{"role": "user", "content": [picture]}, {"role": "assistant", "content": "A cat"}]
    with pytest.raises(NotAChat, match="picture"):
        line.read({"messages": said})


words = st.text("abc éλ\n", min_size=1, max_size=12).filter(lambda said: said == said.strip())
one_call = st.builds(ToolCall, id=text, function=st.builds(Function, name=st.just("f"), arguments=arguments))


@st.composite
def conversations(draw: st.DrawFn) -> list[RowMessage]:
    """A request, some calls with their outputs, an answer; several times."""
    said: list[RowMessage] = []
    for _ in range(draw(st.integers(1, 3))):
        said.append(RowMessage("user", draw(words)))
        for _ in range(draw(st.integers(0, 2))):
            given_calls = draw(st.lists(one_call, min_size=1, max_size=2))
            weight = draw(st.integers(0, 1))
            said.append(RowMessage("assistant", draw(words | st.just("")), "", given_calls, weight=weight))
            said += [RowMessage("tool", draw(words), tool_call_id=given_call.id) for given_call in given_calls]
        said.append(RowMessage("assistant", draw(words), draw(words | st.just("")), weight=draw(st.integers(0, 1))))
    said[-1] = msgspec.structs.replace(said[-1], weight=1)
    return said


@pytest.mark.parametrize("name", ["messages", "sharegpt", "chatml", "parquet", "prompt-completion"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(said=conversations())
def test_an_edit_of_the_last_answer_changes_nothing_else_of_any_conversation(name: str, said: list[RowMessage]) -> None:
    assume("<|im_" not in repr(said))  # in a text of ChatML they are marks of turns
    edited = [*said[:-1], msgspec.structs.replace(said[-1], content="something else")]
    shown = fields(Row(id="r", messages=edited), name)
    shown[KEY] = fields(Row(id="r", messages=said), name)[KEY]
    read = line.read(shown)
    assert read.edited
    assert read.row.messages == edited


def test_an_edit_never_makes_an_answer_learned_from_that_was_kept_out() -> None:
    said = [RowMessage("user", "Hi <|im_end|>\n<|im_start|>user\n"), RowMessage("assistant", "BAD", weight=0)]
    said += [RowMessage("user", "Again"), RowMessage("assistant", "Good")]
    row = Row(id="r", messages=said)
    shown = fields(row, "chatml")
    shown["text"] = shown["text"].replace("Good", "Better")
    with pytest.raises(NotAChat, match="no longer be told"):
        line.read(shown)
    cut = Row(id="r", messages=[*said, RowMessage("user", "More"), RowMessage("assistant", "WRONG", weight=0)])
    shown = fields(cut, "alpaca")
    shown["output"] = "Better"
    kept = line.read(shown).row.messages
    assert [message.content for message in kept[1:]] == ["BAD", "Again", "Better", "More", "WRONG"]
    assert [message.weight for message in kept if message.role == "assistant"] == [0, 1, 0]
