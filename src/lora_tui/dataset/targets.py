"""Tool calls under the names of the agent that will use the fine-tune. Table: targets.toml.

An adapter that learned `bash` and `filePath` makes calls that opencode 2.x refuses, and the other way round.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.curation.tool_names import known, read_arguments, waits
from lora_tui.dataset.steps import arguments, steps
from lora_tui.dataset.unfit import NoCounterpart
from lora_tui.sources.model import Function, Message, ToolCall, text_of
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import ToolTarget

TABLE = Path(__file__).with_name("targets.toml")


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canonical tool as the target has it."""

    name: str
    arguments: dict[str, str]  # canonical name -> name there


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent's tools."""

    tool: dict[str, Tool]
    drop: tuple[str, ...]
    spare: tuple[str, ...]
    keep_unknown_from: tuple[str, ...]
    yes: tuple[tuple[str, str, str, str], ...]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    target: dict[str, Target]


@cache
def table() -> Table:
    """The table as it is written."""
    return toml.load(TABLE, Table)


def retargeted(
    messages: list[Message], target: ToolTarget, source: str, tools: Collection[str] | None = None
) -> list[Message]:
    """The conversation with its calls as the target makes them; outputs are unchanged.

    Book-keeping calls without a counterpart go, with their outputs: what was said beside them begins the next answer.
    A call that held several edits becomes several, each with the recorded output. Waiting for a command becomes the
    rest of that command's output. `tools`: the names a captured agent has, None when there is no capture.
    Raises NoCounterpart for any other call that the target does not have.
    """
    if target == "as-recorded":
        return messages
    row = table().target[target]
    spare = [name for name in row.spare if tools is not None and name not in tools]
    return _Retargeting(messages, row, {*row.drop, *spare}, source).result


class _Retargeting:
    """One conversation on its way to a target."""

    def __init__(self, messages: list[Message], target: Target, drop: Collection[str], source: str) -> None:
        self.result: list[Message] = []
        self._target = target
        self._drop = drop
        self._source = source
        self._outputs = {message.tool_call_id: message for message in messages if message.role == "tool"}
        self._said: Message | None = None  # text that waits for the next answer
        self._command = -1  # where the last command's output stands in the result
        for message in messages:
            if message.role == "assistant":
                self._answer(message)
            elif message.role != "tool":
                self._leave_said()
                self.result.append(message)
        self._leave_said()

    def _answer(self, message: Message) -> None:
        calls: list[ToolCall] = []
        outputs: list[Message] = []
        for call in message.tool_calls:
            output = self._outputs.get(call.id)
            if waits(call.function.name):
                self._more_output(output)
                continue
            made = self._made(call)
            calls += made
            if output is not None:
                outputs += [msgspec.structs.replace(output, tool_call_id=one.id) for one in made]
        if self._said is not None:
            text = "\n\n".join(text for text in (text_of(self._said), text_of(message)) if text.strip())
            message = msgspec.structs.replace(message, content=text)
            self._said = None
        if message.tool_calls and not calls:
            self._said = msgspec.structs.replace(message, tool_calls=[]) if text_of(message).strip() else None
            return
        self.result.append(msgspec.structs.replace(message, tool_calls=calls))
        for output in outputs:
            self.result.append(output)
            self._command = len(self.result) - 1

    def _leave_said(self) -> None:
        """Nothing followed what was said: it is an answer by itself."""
        if self._said is not None:
            self.result.append(self._said)
            self._said = None

    def _more_output(self, output: Message | None) -> None:
        if output is not None and self._command >= 0:
            before = self.result[self._command]
            whole = "\n".join(text for text in (text_of(before), text_of(output)) if text)
            self.result[self._command] = msgspec.structs.replace(before, content=whole, about=output.about)

    def _made(self, call: ToolCall) -> list[ToolCall]:
        """The call as the target makes it: none when it is dropped, several when it held several edits."""
        name = call.function.name
        found = known(name)
        if name.lower() in self._drop or (found is not None and found.name in self._drop):
            return []
        if found is None:
            if self._source in self._target.keep_unknown_from and read_arguments(call) is not None:
                return [call]
            raise NoCounterpart("a call has no counterpart", name)
        return [self._named(step) for step in steps(call)]

    def _named(self, step: ToolCall) -> ToolCall:
        tool = self._target.tool.get(step.function.name)
        if tool is None:
            raise NoCounterpart("a call has no counterpart", step.function.name)
        given = arguments(step)
        renamed = {tool.arguments[key]: value for key, value in given.items() if key in tool.arguments}
        if tool.name == step.function.name and renamed == given:
            return step
        return ToolCall(id=step.id, function=Function(name=tool.name, arguments=msgspec.json.encode(renamed).decode()))


def checked(messages: list[Message], tools: list[dict[str, Any]]) -> list[Message]:
    """The conversation against an agent's real tools (OpenAI's `tools` array).

    A call that leaves out what its tool requires is not learned from: that answer's weight becomes 0. Raises
    NoCounterpart for a call of a tool that the agent does not have.
    """
    required = {
        tool["function"]["name"]: set(tool["function"].get("parameters", {}).get("required", ())) for tool in tools
    }
    result: list[Message] = []
    for message in messages:
        for call in message.tool_calls:
            name = call.function.name
            if name not in required:
                raise NoCounterpart("the captured agent has no such tool", name)
            if not required[name] <= (read_arguments(call) or {}).keys():
                message = msgspec.structs.replace(message, about=msgspec.structs.replace(message.about, weight=0))
        result.append(message)
    return result
