"""The lines of a conversation → the chat messages that Claude Code sends to its model.

A command that succeeds leaves no exit code; since every failing one is an error ("Exit code N"), a plain output of Bash
stands for 0, unless the command went on in the background or its code meant something else than failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from lora_tui.sources.claude_code import rows
from lora_tui.sources.claude_code.rows import Block, Result, Row, Source
from lora_tui.sources.iso_time import milliseconds
from lora_tui.sources.model import (
    About,
    FileData,
    FilePart,
    Function,
    ImagePart,
    ImageUrl,
    Message,
    Origin,
    Part,
    TextPart,
    ToolCall,
)
from lora_tui.sources.own_text import Marks
from lora_tui.sources.steps import Said, Steps

MARKS = Marks(
    (
        *("system-reminder", "task-notification", "command-name", "command-message", "command-args"),
        *("local-command-stdout", "local-command-stderr", "local-command-caveat"),
        *("bash-input", "bash-stdout", "bash-stderr", "user-prompt-submit-hook"),
        *("ide_opened_file", "ide_selection", "ide_diagnostics"),
    )
)

_STOPPED = "[Request interrupted by user"
_BY_USER = ("<bash-input>", "<bash-stdout>", "<bash-stderr>")
_EXIT = re.compile(r"(?:Error: )?Exit code (\d+)")
_NOT_THE_MODEL = "<synthetic>"  # Claude Code's own words about an error, in an assistant's line
_COMMAND = "Bash"
_DELEGATES = ("Agent", "Task")


class _Delegated(msgspec.Struct, frozen=True):
    """What a subagent is started with."""

    prompt: str = ""


_delegated = msgspec.json.Decoder(_Delegated)


class Conversation:
    """One session on its way: give it the rows in order, get the messages.

    agent: the subagent's kind. by_call: subagents' ids by the call that started them; by_prompt: by hash of the prompt.
    """

    def __init__(self, agent: str, by_call: Mapping[str, str], by_prompt: Mapping[int, str]) -> None:
        self._agent = agent
        self._by_call = dict(by_call)
        self._by_prompt = by_prompt
        self._commands: set[str] = set()
        self._steps = Steps()
        self.lost = 0  # outputs of calls that are not in the file

    def add(self, row: Row) -> Iterator[Message]:
        """The messages that are complete once this row is known. Raises msgspec.DecodeError."""
        about = About(native_id=row.uuid or "", created=milliseconds(row.timestamp), agent=self._agent)
        if row.type == "attachment":
            self._attachment(row, about)
        elif row.message is not None and row.type == "assistant":
            yield from self._assistant(row, about)
        elif row.message is not None and row.type == "user":
            self._user(row, about)

    def close(self) -> Iterator[Message]:
        """What is left at the end."""
        return self._steps.close()

    def _assistant(self, row: Row, about: About) -> Iterator[Message]:
        message = row.message
        assert message is not None
        if row.isApiErrorMessage or message.model == _NOT_THE_MODEL:
            if row.isApiErrorMessage:
                marked = msgspec.structs.replace(about, origin="error", error="error")
                self._steps.add(Message(role="assistant", about=marked))
            return
        found = rows.blocks(message.content)
        key = message.id or row.uuid or ""
        model = f"anthropic/{message.model}" if message.model.startswith("claude") else message.model
        yield from self._steps.answer(key, msgspec.structs.replace(about, native_id=key, model=model))
        for block in found:
            if block.type == "text":
                self._steps.text(block.text)
            elif block.type == "thinking":
                self._steps.reasoning(block.thinking)
            elif block.type == "tool_use":
                self._call(block)

    def _call(self, block: Block) -> None:
        arguments = bytes(block.input).decode()
        self._steps.call(ToolCall(block.id, Function(block.name, arguments)))
        if block.name == _COMMAND:
            self._commands.add(block.id)
        if block.name in _DELEGATES and self._by_prompt and block.id not in self._by_call:
            try:
                child = self._by_prompt.get(hash(_delegated.decode(arguments).prompt.strip()))
            except msgspec.DecodeError:
                child = None
            if child:
                self._by_call[block.id] = child

    def _user(self, row: Row, about: About) -> None:
        assert row.message is not None
        found = rows.blocks(row.message.content)
        noted = rows.result(row.toolUseResult)
        said = [one for block in found if block.type != "tool_result" for one in _said(block, row)]
        for block in found:
            if block.type == "tool_result":
                said += self._output(block, noted, about)
        words = "".join(one.part.text for one in said if isinstance(one.part, TextPart)).lstrip()
        if words.startswith(_STOPPED):
            self._steps.interrupted()
        origin: Origin = "compaction" if row.isCompactSummary else "shell" if words.startswith(_BY_USER) else ""
        if origin and said:
            about = msgspec.structs.replace(about, origin=origin, synthetic=tuple(range(len(said))) if origin else ())
            parts = [one.part for one in said]
            only = parts[0]
            content = only.text if len(parts) == 1 and isinstance(only, TextPart) else parts
            self._steps.add(Message(role="user", content=content, about=about))
        else:
            self._steps.say(said, about)

    def _output(self, block: Block, noted: Result | None, about: About) -> list[Said]:
        """Hand over what a tool told the model; returns the pictures in it, which a chat shows in a user message."""
        inner = rows.blocks(block.content)
        text = "\n".join(one.text for one in inner if one.type == "text")
        failed = block.is_error is True
        found = _EXIT.match(text) if failed else None
        exit_code = int(found[1]) if found else None
        error = ""
        if failed:
            error = "invalid" if "InputValidationError" in text[:200] else "error"
        elif block.tool_use_id in self._commands and _ended_well(noted):
            exit_code = 0
        child = f"agent-{noted.agentId}" if noted and isinstance(noted.agentId, str) else ""
        interrupted = (failed and _STOPPED in text[:200]) or (noted is not None and noted.interrupted is True)
        message = Message(
            role="tool",
            content=text,
            tool_call_id=block.tool_use_id,
            about=msgspec.structs.replace(
                about,
                error=error,
                exit=exit_code,
                interrupted=interrupted,
                child=child or self._by_call.get(block.tool_use_id, ""),
            ),
        )
        self._commands.discard(block.tool_use_id)
        if not self._steps.result(message):
            self.lost += 1
        return [Said(part, False) for one in inner if (part := _media(one)) is not None]

    def _attachment(self, row: Row, about: About) -> None:
        attachment = rows.attachment(row.attachment)
        if attachment.type == "queued_command" and isinstance(attachment.prompt, str):
            self._steps.say([Said(TextPart(text), own) for text, own in MARKS.pieces(attachment.prompt)], about)
        else:
            self._steps.say([Said(TextPart(text), False) for text in rows.rendered(row.rendered)], about)


def own_words(row: Row) -> str:
    """What the user typed in this row. Raises msgspec.DecodeError."""
    if row.type != "user" or row.message is None or row.isCompactSummary:
        return ""
    found = [one for block in rows.blocks(row.message.content) for one in _said(block, row)]
    return "\n".join(one.part.text for one in found if one.own and isinstance(one.part, TextPart)).strip()


def _said(block: Block, row: Row) -> list[Said]:
    """A block of a user's row; a tool's output is none of it."""
    if block.type == "text":
        own = not (row.isMeta or row.promptSource == "system" or block.text.startswith(_STOPPED))
        return [Said(TextPart(text), typed and own) for text, typed in MARKS.pieces(block.text)]
    part = _media(block)
    return [Said(part, False)] if part is not None else []


def _media(block: Block) -> Part | None:
    source = block.source
    if not isinstance(source, Source):
        return None
    url = source.url or f"data:{source.media_type};base64,{source.data}"
    if block.type == "image":
        return ImagePart(ImageUrl(url))
    if block.type == "document":
        return FilePart(FileData(block.title if isinstance(block.title, str) else "document.pdf", url))
    return None


def _ended_well(noted: Result | None) -> bool:
    return noted is None or not (noted.interrupted or noted.backgroundTaskId or noted.returnCodeInterpretation)
