"""The items of a rollout → the chat messages that Codex sends to its model.

The items of one answer carry no common name: what the model says between two outputs of tools is one answer, a second
text that no call has interrupted is another. Texts of the program among the user's messages stay messages of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from lora_tui.sources.codex import rows
from lora_tui.sources.codex.rows import Content, Item, OldOutput, Passed
from lora_tui.sources.model import About, Function, ImagePart, ImageUrl, Message, TextPart, ToolCall
from lora_tui.sources.own_text import Marks
from lora_tui.sources.steps import Said, Steps, user_message

MARKS = Marks(
    (
        *("stdin", "environment_context", "user_instructions", "INSTRUCTIONS", "turn_aborted", "skill"),
        *("user_shell_command", "subagent_notification", "model_switch", "collaboration_mode"),
        *("permissions instructions", "apps_instructions", "skills_instructions", "plugins_instructions"),
    )
)

_PROGRAM = re.compile(r"\s*(?:# AGENTS\.md instructions|<(?:environment_context|user_instructions|INSTRUCTIONS)>)")
_OF_THE_USER = "user."
_BY_USER = "<user_shell_command>"
_CALLS = ("function_call", "custom_tool_call", "local_shell_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_EXITS = re.compile(
    r"(?:(?:Chunk ID|Wall time|Original token count|Total output lines): .*\n)*"
    r"(?:Process exited with code|Exit code:) (-?\d+)"
)
_STOPPED = re.compile(r"aborted by user\b")
_REFUSED = ("unsupported call:", "unsupported custom tool call:", "failed to parse function arguments")
_FAILED = ("apply_patch verification failed", "exec_command failed", "write_stdin failed", "execution error", "failed ")


class _Judged(msgspec.Struct, frozen=True):
    """An output as JSON text, as versions of 2025 sent it: {"output": …, "metadata": {"exit_code": …}}."""

    class Metadata(msgspec.Struct, frozen=True):
        exit_code: int | None = None

    output: msgspec.Raw
    metadata: Metadata


_judged = msgspec.json.Decoder(_Judged)


class Conversation:
    """One session on its way: give it the items and events in order, get the messages."""

    def __init__(self) -> None:
        self.model = ""  # 'provider/model' that answers now
        self._steps = Steps()
        self._exits: dict[str, int] = {}  # of calls whose output is still to come
        self._asked = False
        self.lost = 0  # outputs of calls that are not in the file

    def system(self, text: str, native_id: str, created: int) -> Message:
        """The system prompt."""
        return Message(role="system", content=text, about=About(native_id=native_id, created=created))

    def item(self, item: Item, created: int) -> Iterator[Message]:
        """The messages that are complete once this item is known."""
        about = About(native_id=item.id or item.call_id or "", created=created)
        if item.type in _OUTPUTS:
            self._output(item, about)
        elif item.type == "message" and item.role != "assistant":
            yield from self._other(item, about)
        elif item.type in ("message", "reasoning") or item.type in _CALLS:
            yield from self._answer(item, about)

    def compacted(self, text: str, about: About) -> Iterator[Message]:
        """The summary from which the model goes on."""
        yield from self._steps.close()
        yield Message(
            role="user", content=text, about=msgspec.structs.replace(about, origin="compaction", synthetic=(0,))
        )

    def ended(self, call_id: str, exit_code: object) -> None:
        """An event tells how a command ended; null: it was stopped."""
        if type(exit_code) is int:
            self._exits[call_id] = exit_code

    def stopped(self) -> None:
        """An event tells that the user stopped the model."""
        self._steps.interrupted()

    def close(self) -> Iterator[Message]:
        """What is left at the end."""
        return self._steps.close()

    def _other(self, item: Item, about: About) -> Iterator[Message]:
        """The user's message, or one of the program's (`developer`): system prompt up to the first request."""
        if item.role == "user":
            self._asked = self._asked or bool(own_words(item))
            message = _of_user(item, about)
        elif self._asked:
            message = user_message([Said(TextPart(part.text), False) for part in rows.parts(item.content)], about)
        else:
            text = "\n\n".join(part.text for part in rows.parts(item.content))
            message = Message(role="system", content=text, about=about)
        self._steps.add(message)
        if not self._steps.waiting:
            yield from self._steps.close()

    def _answer(self, item: Item, about: About) -> Iterator[Message]:
        is_text = item.type == "message"
        joins = self._steps.joinable and (self._steps.waiting or not self._steps.spoken or item.type in _CALLS)
        if not joins:
            yield from self._steps.close()
            yield from self._steps.answer(about.native_id, msgspec.structs.replace(about, model=self.model))
        if is_text:
            self._steps.text("\n\n".join(part.text for part in rows.parts(item.content) if part.text))
        elif item.type == "reasoning":
            told = rows.parts(item.content) or item.summary or []
            self._steps.reasoning("\n\n".join(part.text for part in told if part.text))
        else:
            self._steps.call(_call(item))

    def _output(self, item: Item, about: About) -> None:
        call_id = item.call_id or ""
        success = item.output.success if isinstance(item.output, OldOutput) else None
        output = item.output.content if isinstance(item.output, OldOutput) else item.output
        told = rows.parts(output)
        text = "\n".join(part.text for part in told if part.text)
        exit_code = self._exits.pop(call_id, None)
        message = Message(
            role="tool",
            content=text,
            tool_call_id=call_id,
            about=msgspec.structs.replace(
                about,
                exit=_exit(text) if exit_code is None else exit_code,
                error=_error(text, success),
                interrupted=_STOPPED.match(text) is not None,
            ),
        )
        if not self._steps.result(message):
            self.lost += 1
        pictures = [part.image_url for part in told if isinstance(part.image_url, str)]
        self._steps.say([Said(ImagePart(ImageUrl(url)), False) for url in pictures], about)


def own_words(item: Item) -> str:
    """What the user typed in this item."""
    if item.type != "message" or item.role != "user":
        return ""
    return "\n".join(one.part.text for one in _said(item) if one.own and isinstance(one.part, TextPart)).strip()


def _of_user(item: Item, about: About) -> Message:
    said = _said(item)
    first = said[0].part if said else None
    if isinstance(first, TextPart) and first.text.startswith(_BY_USER):
        about = msgspec.structs.replace(about, origin="shell")
    return user_message(said or [Said(TextPart(""), False)], about)


def _said(item: Item) -> list[Said]:
    passed = item.internal_chat_message_metadata_passthrough or Passed()
    kinds = passed.content_item_kinds or []
    found = []
    for index, part in enumerate(rows.parts(item.content)):
        if isinstance(part.image_url, str):
            found.append(Said(ImagePart(ImageUrl(part.image_url)), False))
        elif part.text:
            kind = kinds[index] if index < len(kinds) else ""
            found += _pieces(part, kind)
    return found


def _pieces(part: Content, kind: str) -> list[Said]:
    own = kind.startswith(_OF_THE_USER) if kind else not _PROGRAM.match(part.text)
    return [Said(TextPart(text), typed and own) for text, typed in MARKS.pieces(part.text)]


def _call(item: Item) -> ToolCall:
    """A call; free-form input and a shell action become arguments, JSON text stays byte for byte."""
    call_id = item.call_id or item.id or ""
    if item.type == "custom_tool_call":
        arguments = msgspec.json.encode({"input": item.input}).decode()
    elif item.type == "local_shell_call":
        return ToolCall(call_id, Function("local_shell", bytes(item.action).decode()))
    else:
        arguments = item.arguments if isinstance(item.arguments, str) else msgspec.json.encode(item.arguments).decode()
    return ToolCall(call_id, Function(item.name, arguments))


def _exit(text: str) -> int | None:
    found = _EXITS.match(text)
    if found:
        return int(found[1])
    if text.startswith('{"output":'):
        try:
            return _judged.decode(text).metadata.exit_code
        except msgspec.DecodeError:
            return None
    return None


def _error(text: str, success: bool | None) -> str:
    if text.startswith(_REFUSED):
        return "invalid"
    return "error" if success is False or text.startswith(_FAILED) or _STOPPED.match(text) else ""
