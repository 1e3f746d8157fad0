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
from lora_tui.sources.opencode.rows import MessageData, PartData, Summary, ToolState

_ABORTED = "MessageAbortedError"
_CLEARED = "[Old tool result content cleared]"
_INTERRUPTED = "[Tool execution was interrupted]"
_MEDIA_FOLLOWS = "Attached media from tool result:"
_COMPACTED = "What did we do so far?"
_RUN_BY_USER = "The following tool was executed by the user"

_ANSWERS = ("text", "reasoning", "tool")

Parts = Iterable[tuple[str, PartData]]  # a message's parts with their ids, in id order
Step = list[tuple[str, PartData]]  # what the model said between two step-start parts


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
        agent = data.agent or data.mode or ""
        if data.role == "user":
            return self._user(native_id, created, agent, data, parts)
        return self._assistant(native_id, created, agent, data, parts)

    def _user(self, native_id: str, created: int, agent: str, data: MessageData, parts: Parts) -> Iterator[Message]:
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
            self._commands[native_id] = origin
        if content:
            changed = data.summary.diffs if isinstance(data.summary, Summary) else []
            about = About(
                native_id=native_id,
                created=created,
                agent=agent,
                synthetic=tuple(synthetic),
                reverted=self._reverted,
                origin=origin,
                diffs=tuple(change.file for change in changed if change.file),
            )
            yield _user_message(content, about)

    def _assistant(
        self, native_id: str, created: int, agent: str, data: MessageData, parts: Parts
    ) -> Iterator[Message]:
        error = data.error.name if data.error is not None else ""
        if error and error != _ABORTED:  # what came before the error is not sent again
            about = About(native_id=native_id, created=created, agent=agent, reverted=self._reverted)
            yield Message(role="assistant", about=msgspec.structs.replace(about, origin="error", error=error))
            return
        steps: list[Step] = []
        step: Step | None = None
        started = real = False
        for part_id, part in parts:
            kind = part.type
            if kind == "step-start":
                step, started = None, True
                continue
            if kind != "reasoning":
                real = True
            if kind in _ANSWERS:
                if step is None:
                    step = []
                    steps.append(step)
                step.append((part_id, part))
        if not steps or (error and not real):
            return
        origin: Origin = "compaction" if data.summary is True else ""
        if not started:  # not a model's step: opencode itself ran the user's command
            origin = origin or self._commands.get(data.parentID or "", "")
        about = About(
            native_id=native_id,
            created=created,
            agent=agent,
            model=f"{data.providerID}/{data.modelID}" if data.providerID else data.modelID or "",
            reverted=self._reverted,
            origin=origin,
            error=error,
            interrupted=bool(error),
        )
        media: list[Part] = []
        for step in steps:
            yield from _step_messages(step, about, media)
        if media:
            yield _user_message(
                [TextPart(_MEDIA_FOLLOWS), *media],
                About(
                    native_id=native_id,
                    created=created,
                    agent=agent,
                    synthetic=(0,),
                    reverted=self._reverted,
                    origin=origin,
                ),
            )


def _step_messages(step: Step, about: About, media: list[Part]) -> Iterator[Message]:
    """One answer of the model with the outputs of its tools; pictures in the outputs are added to `media`."""
    calls = [(part_id, part, part.state) for part_id, part in step if part.state is not None]
    yield Message(
        role="assistant",
        content="".join([part.text for _, part in step if part.type == "text"]),
        reasoning_content="".join([part.text for _, part in step if part.type == "reasoning"]),
        tool_calls=[
            ToolCall(part.callID, Function(part.tool, bytes(state.input).decode(errors="replace")))
            for _, part, state in calls
        ],
        about=about,
    )
    for part_id, part, state in calls:
        yield _tool_message(part_id, part, state, about)
        if state.attachments and state.status == "completed" and not state.time.compacted:
            shown = [
                _attached(file.mime, file.url, file.filename) for file in state.attachments if _is_media(file.mime)
            ]
            media += [file for file in shown if file is not None]


def _tool_message(native_id: str, part: PartData, state: ToolState, about: About) -> Message:
    """What the model was told about one call."""
    metadata = state.metadata
    interrupted = cleared = False
    error = child = ""
    exit_code = None
    if metadata is not None:
        interrupted = metadata.interrupted is True
        exit_code = metadata.exit if type(metadata.exit) is int else None
        child = metadata.sessionId if part.tool == "task" and isinstance(metadata.sessionId, str) else ""
    if state.status == "completed":
        cleared = bool(state.time.compacted)
        content = _CLEARED if cleared else _output(state)
        error = "invalid" if part.tool == "invalid" else ""
    elif state.status == "error":
        content, error = state.error, "error"
        if metadata is not None and interrupted:  # what a stopped command had printed counts as its output
            output = msgspec.json.decode(metadata.output)
            content = output if isinstance(output, str) else content
    else:
        content, error, interrupted = _INTERRUPTED, "error", True
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
            exit=exit_code,
            interrupted=interrupted,
            cleared=cleared,
            child=child,
        ),
    )


def _output(state: ToolState) -> str:
    """A tool's output; with attachments that are no pictures and no PDFs, the JSON opencode makes of both."""
    others = [file for file in state.attachments if not _is_media(file.mime)] if state.attachments else []
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
