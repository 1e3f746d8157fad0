"""Tool calls under the names of the agent that will use the fine-tune."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lora_tui.dataset.targets import checked, retargeted, table
from lora_tui.dataset.unfit import NoCounterpart
from lora_tui.sources.model import About, Function, Message, ToolCall
from lora_tui.workspace.profiles import ToolTarget
from stories import calls, says, user

CASES = [(target, *case) for target, row in table().target.items() for case in row.yes]


def made(messages: list[Message], target: ToolTarget = "opencode-v1", source: str = "opencode") -> list[Message]:
    return retargeted(messages, target, source)


def called(messages: list[Message]) -> list[tuple[str, Any]]:
    """Every call's name and arguments."""
    return [
        (call.function.name, json.loads(call.function.arguments)) for message in messages for call in message.tool_calls
    ]


@pytest.mark.parametrize(("target", "name", "arguments", "new_name", "new_arguments"), CASES)
def test_each_case_of_the_table(
    target: ToolTarget, name: str, arguments: str, new_name: str, new_arguments: str
) -> None:
    found = called(made([user("Go"), *calls(name, json.loads(arguments), "ok")], target, "claude-code"))
    assert found == [(new_name, json.loads(new_arguments))]


def test_what_is_opencodes_own_stays_byte_for_byte_and_as_recorded_changes_nothing() -> None:
    call = ToolCall(id="c", function=Function(name="bash", arguments='{ "command" : "ls" }'))
    talk = [
        user("Go"),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", content="a", tool_call_id="c"),
    ]
    assert made(talk) == talk
    foreign = [user("Go"), *calls("Bash", {"command": "ls"}, "a"), *calls("NotebookEdit", {}, "ok")]
    assert made(foreign, "as-recorded", "claude-code") == foreign


def test_a_patch_becomes_edits_each_with_the_recorded_output() -> None:
    patch = (
        "*** Begin Patch\n*** Update File: a.py\n@@ def x():\n-    old\n+    new\n@@\n last\n+line\n"
        "*** Add File: b.py\n+x = 1\n*** End Patch"
    )
    result = made([user("Go"), *calls("apply_patch", {"patchText": patch}, "Success.", call_id="p")], "opencode-v2")
    assert called(result) == [
        ("edit", {"path": "a.py", "oldString": "    old\n", "newString": "    new\n"}),
        ("edit", {"path": "a.py", "oldString": "last\n", "newString": "last\nline\n"}),
        ("write", {"path": "b.py", "content": "x = 1\n"}),
    ]
    ids = [call.id for call in result[1].tool_calls]
    assert len(set(ids)) == 3
    assert [(message.tool_call_id, message.content) for message in result[2:]] == [(one, "Success.") for one in ids]


def test_bookkeeping_without_a_counterpart_goes_and_what_was_said_beside_it_stays() -> None:
    plan = msgspec.structs.replace(calls("todowrite", {"todos": []}, "[]", call_id="t")[0], content="First the plan.")
    talk = [
        user("Go"),
        plan,
        Message(role="tool", content="[]", tool_call_id="t"),
        *calls("bash", {"command": "ls"}, "a"),
    ]
    result = made(talk, "opencode-v2")
    assert [message.role for message in result] == ["user", "assistant", "tool"]
    assert result[1].content == "First the plan."
    assert called(result) == [("shell", {"command": "ls"})]


def test_waiting_for_a_command_becomes_the_rest_of_its_output() -> None:
    talk = [
        user("Go"),
        *calls("exec_command", {"cmd": "cargo test"}, "running", call_id="1"),
        *calls("write_stdin", {"session_id": 1, "chars": ""}, "ok. 3 passed", call_id="2"),
        says("Green."),
    ]
    result = made(talk, source="codex")
    assert [message.role for message in result] == ["user", "assistant", "tool", "assistant"]
    assert result[2].content == "running\nok. 3 passed"


@pytest.mark.parametrize("name", ["NotebookEdit", "mcp__db__query", "KillShell"])
def test_a_call_that_the_target_lacks_is_refused_by_name(name: str) -> None:
    with pytest.raises(NoCounterpart, match=f"no counterpart: {name}"):
        made([user("Go"), *calls(name, {"x": 1}, "ok")], source="claude-code")


def test_a_persons_own_opencode_tools_stay() -> None:
    assert called(made([user("Go"), *calls("db_query", {"sql": "select 1"}, "1")])) == [
        ("db_query", {"sql": "select 1"})
    ]


def tool(name: str, *required: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {key: {"type": "string"} for key in required}, "required": required}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_a_call_that_the_captured_agent_would_refuse_is_not_learned_from() -> None:
    talk = [
        user("Go"),
        *calls("read", {"filePath": "a"}, "a", call_id="1"),
        *calls("bash", {"command": "ls"}, "a", call_id="2"),
    ]
    result = checked(talk, [tool("read", "filePath"), tool("bash", "command", "description")])
    assert [message.about.weight for message in result if message.role == "assistant"] == [None, 0]
    with pytest.raises(NoCounterpart, match="no such tool: bash"):
        checked(talk, [tool("read", "filePath")])


def test_a_todo_list_goes_where_the_captured_agent_has_none() -> None:
    talk = [user("Go"), *calls("todowrite", {"todos": []}, "[]", call_id="t"), *calls("bash", {"command": "ls"}, "a")]
    assert [name for name, _ in called(retargeted(talk, "opencode-v1", "opencode"))] == ["todowrite", "bash"]
    assert [name for name, _ in called(retargeted(talk, "opencode-v1", "opencode", ["bash"]))] == ["bash"]


def test_a_failed_call_keeps_its_weight_on_the_way() -> None:
    talk = [user("Go"), *calls("Bash", {"command": "ls"}, "no")]
    talk[1] = msgspec.structs.replace(talk[1], about=About(weight=0))
    assert made(talk, source="claude-code")[1].about.weight == 0
