"""One row's conversation, and the turns it is made of, whatever the row called them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lora_tui.sources.model import About, Function, Message, Part, Role, ToolCall

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "tool": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "ipython": "tool",
}


class NotAChat(Exception):
    """The row fits no format, or not the one it looks like; says why, in keys and roles, never in contents."""


class Conversation(msgspec.Struct, frozen=True):
    """What a row holds. `content` is what makes it this conversation: its hash is the session's id."""

    format: str
    messages: list[Message]
    content: object
    title: str = ""
    agent: str = ""
    model: str = ""


class Turns:
    """Collects a row's turns; ties tool outputs to the calls they answer where the row does not say so."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._open: list[ToolCall] = []  # calls without an output yet, in order
        self._calls = 0

    def add(
        self,
        role: Role,
        content: object,
        *,
        calls: object = None,
        call_id: str = "",
        name: str = "",
        reasoning: str = "",
        weight: object = None,
    ) -> None:
        """One turn. Raises NotAChat when its content or its calls have another shape."""
        tool_calls = self._tool_calls(calls)
        if role == "tool":
            call_id = self._answered(call_id, name)
        self._open += tool_calls
        text = _content(content)
        if text is None and role != "assistant":
            raise NotAChat(f"a {role} message without content")
        self.messages.append(
            Message(
                role=role,
                content=text,
                reasoning_content=reasoning,
                tool_calls=tool_calls,
                tool_call_id=call_id,
                about=About(weight=_weight(weight)),
            )
        )

    def done(self) -> list[Message]:
        """The messages. Raises NotAChat when nobody asks or nobody answers."""
        roles = {message.role for message in self.messages}
        if "user" not in roles:
            raise NotAChat("no message of a user")
        if "assistant" not in roles:
            raise NotAChat("no answer of an assistant")
        return self.messages

    def _tool_calls(self, calls: object) -> list[ToolCall]:
        if calls is None:
            return []
        if not isinstance(calls, list):
            raise NotAChat(f"tool_calls is no list but {kind(calls)}")
        return [self._call(call) for call in calls]

    def _call(self, call: object) -> ToolCall:
        if not isinstance(call, Mapping):
            raise NotAChat(f"a tool call is no object but {kind(call)}")
        function = call.get("function", call)
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not name:
            raise NotAChat("a tool call without a name")
        arguments = function.get("arguments", function.get("parameters"))
        if not isinstance(arguments, str):  # an object, as chat templates take it: JSON text from here on
            arguments = msgspec.json.encode({} if arguments is None else arguments).decode()
        self._calls += 1
        identity = call.get("id")
        return ToolCall(
            id=identity if isinstance(identity, str) and identity else f"call_{self._calls}",
            function=Function(name=name, arguments=arguments),
        )

    def _answered(self, call_id: str, name: str) -> str:
        """The call that an output answers: the one it names, else the first open one of that tool, else the first."""
        found = next((call for call in self._open if call.id == call_id), None)
        if found is None and not call_id:
            named = [call for call in self._open if call.function.name == name]
            found = next(iter(named or self._open), None)
        if found is not None:
            self._open.remove(found)
            return found.id
        return call_id


def role_of(name: object) -> Role:
    """A role by any of its names. Raises NotAChat."""
    found = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
    if found is None:
        raise NotAChat(f"unknown role {str(name)[:30]!r}" if isinstance(name, str) else "a message without a role")
    return found


def kind(value: object) -> str:
    """The JSON type of a value, for messages to people."""
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "a boolean", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def _content(content: object) -> str | list[Part] | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise NotAChat(f"a message's content is {kind(content)}")
    try:
        return msgspec.convert(content, list[Part])
    except msgspec.ValidationError:
        kinds = sorted({str(_type(part))[:30] for part in content} - {"text", "image_url", "file"})
        raise NotAChat(f"content parts that cannot be read: {', '.join(kinds) or 'damaged'}") from None


def _type(part: object) -> Any:
    return part.get("type") if isinstance(part, Mapping) else kind(part)


def _weight(weight: object) -> int | None:
    if weight is None:
        return None
    if weight not in (0, 1):
        raise NotAChat("a message's weight is neither 0 nor 1")
    return int(bool(weight))
