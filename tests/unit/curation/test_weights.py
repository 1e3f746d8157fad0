"""What of an example is learned from."""

from __future__ import annotations

import msgspec
import pytest

from lora_tui.curation.weights import weights
from lora_tui.sources.model import Message
from stories import calls, says, user

ASK = user("Make it generic")


def run(command: str, exit_code: int, call_id: str = "call_r") -> list[Message]:
    call, result = calls("bash", {"command": command}, "…", call_id=call_id)
    return [call, msgspec.structs.replace(result, about=msgspec.structs.replace(result.about, exit=exit_code))]


def edit(output: str, path: str = "src/lib.rs", call_id: str = "call_e") -> list[Message]:
    return calls("edit", {"filePath": path, "oldString": "a", "newString": "b"}, output, call_id=call_id)


def test_only_what_the_assistant_wrote_is_learned_from() -> None:
    assert weights([ASK, *edit("ok"), says("Done.")]) == [0, 1, 0, 1]


def test_a_call_that_failed_and_was_put_right_is_not_learned_from() -> None:
    messages = [ASK, *edit("Error: oldString not found in content"), *edit("ok", call_id="call_2"), says("Done.")]
    assert weights(messages) == [0, 0, 0, 1, 0, 1]


def test_a_command_is_put_right_by_the_same_program() -> None:
    messages = [ASK, *run("cd app && cargo test", 101), *edit("ok"), *run("cargo test --all", 0, "call_2")]
    assert weights(messages) == [0, 0, 0, 1, 0, 1, 0]
    assert weights([ASK, *run("cargo test", 101), *run("ls", 0, "call_2")]) == [0, 1, 0, 1, 0]
    assert weights([ASK, *run("cargo test", 101), *run("cargo fmt", 0, "call_2")]) == [0, 1, 0, 1, 0]


def test_a_failure_that_nothing_followed_stays() -> None:
    assert weights([ASK, *run("cargo test", 101), says("It fails.")]) == [0, 1, 0, 1]


def look(output: str, path: str, call_id: str) -> list[Message]:
    return calls("read", {"filePath": path}, output, call_id=call_id)


def test_a_file_is_put_right_by_its_name_and_by_no_other_file() -> None:
    missing = look("File not found: src/deep/a.rs", "src/deep/a.rs", "call_1")
    assert weights([ASK, *missing, *look("fn a() {}", "src/a.rs", "call_2")]) == [0, 0, 0, 1, 0]
    assert weights([ASK, *missing, *look("fn b() {}", "src/b.rs", "call_2")]) == [0, 1, 0, 1, 0]


def test_an_edit_that_failed_is_not_learned_from_even_when_nothing_followed() -> None:
    assert weights([ASK, *edit("Error: oldString not found in content"), says("I give up.")]) == [0, 0, 0, 1]


def test_finding_nothing_is_no_failure() -> None:
    assert weights([ASK, *run("grep -rn stack lib", 1), *run("grep -rn ring lib", 0, "call_2")]) == [0, 1, 0, 1, 0]


def test_a_call_with_arguments_the_tool_cannot_take_is_never_learned_from() -> None:
    told = "The bash tool was called with invalid arguments: SchemaError(Missing key)"
    assert weights([ASK, *calls("bash", {}, told)]) == [0, 0, 0]


def test_an_invalid_call_is_never_learned_from() -> None:
    call, result = calls("multiedit", {}, "unknown tool")
    invalid = msgspec.structs.replace(result, about=msgspec.structs.replace(result.about, error="invalid"))
    assert weights([ASK, call, invalid]) == [0, 0, 0]


def test_one_failed_call_of_several_leaves_the_message_out() -> None:
    (one, wrong), (two, fine) = edit("Error: not found", call_id="a"), edit("ok", "b.rs", "b")
    both = msgspec.structs.replace(one, tool_calls=[*one.tool_calls, *two.tool_calls])
    assert weights([ASK, both, wrong, fine, *edit("ok", call_id="c")]) == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "about",
    [
        {"context": True},
        {"context": True, "weight": 1},
        {"origin": "shell"},
        {"error": "edit not applied"},
        {"interrupted": True},
        {"reverted": True},
        {"synthetic": (0,)},
        {"weight": 0},
    ],
    ids=lambda about: "+".join(about),
)
def test_what_is_no_answer_to_learn_from_has_no_weight(about: dict[str, object]) -> None:
    assert weights([ASK, says("Done.", **about)]) == [0, 0]


def test_a_person_can_give_weight_back_but_only_to_an_answer() -> None:
    call, result = edit("Error: oldString not found in content")
    wanted = msgspec.structs.replace(call, about=msgspec.structs.replace(call.about, weight=1))
    assert weights([user("Now", weight=1), wanted, result, *edit("ok", call_id="b")]) == [0, 1, 0, 1, 0]


def test_an_empty_answer_teaches_nothing() -> None:
    assert weights([ASK, says(" \n")]) == [0, 0]
