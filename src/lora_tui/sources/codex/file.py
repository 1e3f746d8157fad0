"""One rollout file, read once from the top; for its head again when it is described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from lora_tui.sources.bad_lines import BadLines
from lora_tui.sources.codex import rows
from lora_tui.sources.codex.conversation import Conversation, own_words
from lora_tui.sources.codex.rows import Instructions, Item, Meta, Row
from lora_tui.sources.iso_time import milliseconds
from lora_tui.sources.model import About, Message, Session
from lora_tui.sources.registry import Quarantine, Quarantined
from lora_tui.sources.text_lines import lines

_TITLE = 80  # characters
_ITEMS = ("message", "reasoning", "function_call", "function_call_output", "local_shell_call")
_COMMANDS = ("CommandExecution", "LocalShellCall")


def described(path: Path, outside: Session) -> Session | None:
    """What the head of a file says about its session, up to the user's first words; None: nobody speaks.

    Raises OSError.
    """
    head: Meta | None = None
    spoken = False
    words = directory = ""
    created = 0
    for line in lines(path):
        try:
            row = rows.row.decode(line.text)
            created = created or milliseconds(row.timestamp)
            if row.type == "session_meta" and head is None:
                head = rows.meta.decode(row.payload)
            elif row.type == "turn_context":
                directory = directory or rows.turn.decode(row.payload).cwd
            elif (item := _item(row, line.text)) is not None and item.type == "message":
                spoken = True
                words = own_words(item)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if words:
            break
    if not spoken:
        return None
    head = head or Meta()
    return msgspec.structs.replace(
        outside,
        title=" ".join(words.split())[:_TITLE],
        directory=head.cwd or directory,
        version=head.cli_version,
        created=milliseconds(head.timestamp) or created or outside.created,
        parent=_parent(head),
    )


def messages(path: Path, session: Session, quarantine: Quarantine) -> Iterator[Message]:
    """The conversation, in flat memory. Lines that cannot be understood are quarantined."""
    told = _Told(session)
    read = BadLines(path, session.native_id, quarantine)
    for line in lines(path):
        problem = line.problem
        if not problem:
            try:
                yield from told.add(rows.row.decode(line.text), line.text)
                read.good()
                continue
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                problem = str(error)
        if not read.bad(line.number, problem):
            break
    read.close()
    yield from told.conversation.close()
    if told.conversation.lost:
        reason = f"{told.conversation.lost} outputs whose calls are not in the file"
        quarantine(Quarantined(str(path), "part", session.native_id, reason, session.native_id))


class _Told:
    """The rows of a file on their way into its conversation."""

    def __init__(self, session: Session) -> None:
        self.conversation = Conversation()
        self._session = session
        self._provider: str | None = None

    def add(self, row: Row, text: bytes) -> Iterator[Message]:
        """The messages that are complete once this row is known. Raises msgspec.DecodeError."""
        created = milliseconds(row.timestamp)
        if row.type == "session_meta":
            yield from self._meta(rows.meta.decode(row.payload), created)
        elif row.type == "turn_context":
            model = rows.turn.decode(row.payload).model
            self.conversation.model = f"{self._provider}/{model}" if self._provider and model else model
        elif row.type == "event_msg":
            self._event(rows.event.decode(row.payload))
        elif row.type == "compacted":
            about = About(created=created)
            yield from self.conversation.compacted(rows.compacted.decode(row.payload).message, about)
        elif (item := _item(row, text)) is not None:
            yield from self.conversation.item(item, created)

    def _meta(self, meta: Meta, created: int) -> Iterator[Message]:
        if self._provider is not None:
            return  # a fork repeats the one it came from
        self._provider = meta.model_provider or ""
        found = meta.base_instructions
        prompt = found.text if isinstance(found, Instructions) else found
        if prompt:
            yield self.conversation.system(prompt, meta.id, created)

    def _event(self, event: rows.Event) -> None:
        if event.type == "turn_aborted":
            self.conversation.stopped()
        elif event.type == "exec_command_end" and event.call_id:
            self.conversation.ended(event.call_id, event.exit_code)
        elif event.item is not None and event.item.id and event.item.type in _COMMANDS:
            self.conversation.ended(event.item.id, event.item.exit_code)


def _item(row: Row, text: bytes) -> Item | None:
    """An item of the conversation; the first versions (2025) wrote it without an envelope around it."""
    if row.type == "response_item":
        return rows.item.decode(row.payload)
    return rows.item.decode(text) if row.type in _ITEMS else None


def _parent(meta: Meta) -> str:
    """The session that started this one: {"subagent": {"thread_spawn": {"parent_thread_id": …}}}."""
    found = meta.source
    for key in ("subagent", "thread_spawn", "parent_thread_id"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
