"""Messages and parts (SQLite 1.2–1.18 and the JSON generation) → the chat messages opencode sends to its model.

The rules are those of opencode's own conversion for an OpenAI-compatible endpoint, read in its program and compared
with what it sends (tests/contract/test_opencode.py). Two things a request depends on are not in the history and are
left out: reminders written into a request while it is made, and what is done for models that cannot see pictures.
Reasoning stays reasoning, also where another model took over and got it as text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

import msgspec

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
from lora_tui.sources.opencode.rows import Attachment, MessageData, PartData, Summary, ToolState

_ABORTED = "MessageAbortedError"
_CLEARED = "[Old tool result content cleared]"
_INTERRUPTED = "[Tool execution was interrupted]"
_MEDIA_FOLLOWS = "Attached media from tool result:"
_COMPACTED = "What did we do so far?"
_RUN_BY_USER = "The following tool was executed by the user"

Parts = Iterable[tuple[str, PartData]]  # a message's parts with their ids, in id order


class Conversation:
    """One session on its way: give it each message with its parts in order, get the messages that were sent.

    reverted_from: the native id of the first message the user undid; it and all that follow are marked.
    """

    def __init__(self, reverted_from: str = "") -> None:
        self._reverted_from = reverted_from
        self._reverted = False
        self._commands: dict[str, Origin] = {}  # user messages that were commands -> what their answer is

    def add(self, native_id: str, created: int, data: MessageData, parts: Parts) -> Iterator[Message]:
        """The chat messages one stored message becomes: none, or one, or an assistant message and its tool outputs.

        created: epoch milliseconds. Parts are read once and not kept.
        """
        self._reverted = self._reverted or native_id == self._reverted_from
        about = About(
            native_id=native_id, created=created, agent=data.agent or data.mode or "", reverted=self._reverted
        )
        if data.role == "user":
            return self._user(about, data, parts)
        return self._assistant(about, data, parts)

    def _user(self, about: About, data: MessageData, parts: Parts) -> Iterator[Message]:
        content: list[Part] = []
        synthetic: list[int] = []
        origin: Origin = ""
        for _, part in parts:
            said: Part | None = None
            own = False
            if part.type == "text" and part.text and not part.ignored:
                said, own = TextPart(part.text), not part.synthetic
                if part.synthetic and part.text == _RUN_BY_USER:
                    origin = "shell"
                elif part.metadata is not None and part.metadata.compaction_continue:
                    origin = "compaction"
            elif part.type == "file":
                said = _attached(part.mime, part.url, part.filename)
            elif part.type == "compaction":
                said, origin = TextPart(_COMPACTED), "compaction"
            elif part.type == "subtask":
                said, origin = TextPart(_RUN_BY_USER), "subtask"
            if said is not None:
                if not own and isinstance(said, TextPart):
                    synthetic.append(len(content))
                content.append(said)
        if len(synthetic) != len(content) and origin == "shell":
            origin = ""  # somebody typed more than the command
        if origin in ("shell", "subtask"):
            self._commands[about.native_id] = origin
        if content:
            changed = data.summary.diffs if isinstance(data.summary, Summary) else []
            about = msgspec.structs.replace(
                about,
                synthetic=tuple(synthetic),
                origin=origin,
                diffs=tuple(change.file for change in changed if change.file),
            )
            yield _user_message(content, about)

    def _assistant(self, about: About, data: MessageData, parts: Parts) -> Iterator[Message]:
        error = data.error.name if data.error is not None else ""
        if error and error != _ABORTED:
            return  # what came before the error is not sent again
        steps: list[_Step] = []
        step = _Step()
        real = False
        for native_id, part in parts:
            real = real or part.type not in ("step-start", "reasoning")
            if part.type == "step-start":
                step = _Step(started=True)
                steps.append(step)
            elif part.type in ("text", "reasoning", "tool"):
                if not steps:
                    steps.append(step)
                step.add(native_id, part)
        steps = [step for step in steps if step.filled]
        if not steps or (error and not real):
            return
        origin: Origin = "compaction" if data.summary is True else ""
        if not any(step.started for step in steps):  # not a model's step: opencode itself ran the user's command
            origin = origin or self._commands.get(data.parentID or "", "")
        about = msgspec.structs.replace(
            about,
            model=f"{data.providerID}/{data.modelID}" if data.providerID else data.modelID or "",
            origin=origin,
            error=error,
            interrupted=bool(error),
        )
        for step in steps:
            yield from step.messages(about)
        media = [file for step in steps for file in step.media]
        if media:
            shown = [_attached(file.mime, file.url, file.filename) for file in media]
            follows: list[Part] = [TextPart(_MEDIA_FOLLOWS), *(part for part in shown if part is not None)]
            yield _user_message(
                follows,
                About(
                    native_id=about.native_id,
                    created=about.created,
                    agent=about.agent,
                    synthetic=(0,),
                    reverted=about.reverted,
                    origin=origin,
                ),
            )


class _Step:
    """One answer of the model: everything between two step-start parts of an assistant message."""

    def __init__(self, started: bool = False) -> None:
        self.started = started
        self.filled = False
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[tuple[str, PartData, ToolState]] = []
        self.media: list[Attachment] = []

    def add(self, native_id: str, part: PartData) -> None:
        if part.type == "text":
            self.text.append(part.text)
        elif part.type == "reasoning":
            self.reasoning.append(part.text)
        elif part.state is not None:
            self.calls.append((native_id, part, part.state))
            if part.state.status == "completed" and not part.state.time.compacted:
                self.media += [file for file in part.state.attachments or [] if _is_media(file.mime)]
        self.filled = True

    def messages(self, about: About) -> Iterator[Message]:
        yield Message(
            role="assistant",
            content="".join(self.text),
            reasoning_content="".join(self.reasoning),
            tool_calls=[
                ToolCall(id=part.callID, function=Function(name=part.tool, arguments=bytes(state.input).decode()))
                for _, part, state in self.calls
            ],
            about=about,
        )
        for native_id, part, state in self.calls:
            yield _tool_message(native_id, part, state, about)


def _tool_message(native_id: str, part: PartData, state: ToolState, about: About) -> Message:
    """What the model was told about one call."""
    metadata = state.metadata
    interrupted = metadata is not None and metadata.interrupted is True
    cleared = False
    error = ""
    if state.status == "completed":
        cleared = bool(state.time.compacted)
        content = _CLEARED if cleared else _output(state)
        error = "invalid" if part.tool == "invalid" else ""
    elif state.status == "error":
        content = state.error
        error = "error"
        if metadata is not None and interrupted:  # what a stopped command had printed counts as its output
            output = msgspec.json.decode(metadata.output)
            content = output if isinstance(output, str) else content
    else:
        content, error, interrupted = _INTERRUPTED, "error", True
    exit_code = metadata.exit if metadata is not None else None
    child = metadata.sessionId if metadata is not None and part.tool == "task" else None
    return Message(
        role="tool",
        content=content,
        tool_call_id=part.callID,
        about=About(
            native_id=native_id,
            created=int(state.time.start) or about.created,
            agent=about.agent,
            reverted=about.reverted,
            origin=about.origin,
            error=error,
            exit=exit_code if type(exit_code) is int else None,
            interrupted=interrupted,
            cleared=cleared,
            child=child if isinstance(child, str) else "",
        ),
    )


def _output(state: ToolState) -> str:
    """A tool's output; with attachments that are no pictures and no PDFs, the JSON opencode makes of both."""
    others = [file for file in state.attachments or [] if not _is_media(file.mime)]
    if not others:
        return state.output
    value: list[dict[str, str]] = [{"type": "text", "text": state.output}] if state.output else []
    value += [
        {"type": "media", "mediaType": file.mime, "data": file.url.partition(",")[2]}
        for file in others
        if file.url.startswith("data:") and "," in file.url
    ]
    return msgspec.json.encode(value).decode()


def _user_message(content: list[Part], about: About) -> Message:
    """Plain text where there is one text only, as opencode sends it."""
    if len(content) == 1 and isinstance(content[0], TextPart):
        return Message(role="user", content=content[0].text, about=about)
    return Message(role="user", content=content, about=about)


def _is_media(mime: str) -> bool:
    return mime.startswith("image/") or mime == "application/pdf"


def _attached(mime: str, url: str, filename: str | None) -> Part | None:
    """A `file` part as content; None for text and folders, which opencode has written into the message as text."""
    if mime in ("text/plain", "application/x-directory"):
        return None
    if mime.startswith("image/"):
        kind = "image/jpeg" if mime == "image/*" else mime
        return ImagePart(ImageUrl(_as_base64(kind, url)))
    if mime.startswith("text/"):
        return TextPart(_plain(url))
    return FilePart(FileData(filename or "document.pdf", _as_base64(mime, url)))


def _as_base64(mime: str, url: str) -> str:
    """The data: URL under the type that opencode knows the file by; another URL as it is."""
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return url
    return f"data:{mime};base64,{body}"


def _plain(url: str) -> str:
    """The text inside a data: URL; another URL as it is."""
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:"):
        return url
    try:
        raw = base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)
    except binascii.Error:
        return url
    return raw.decode(errors="replace")
