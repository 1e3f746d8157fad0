"""One example per line of JSON: what is given to others, or edited elsewhere and taken back.

The messages are those that lists and datasets show: without the values of secrets, and with a person's edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from lora_tui.curation.reading import Example, example
from lora_tui.sources.model import About, FilePart, ImagePart, Message, Role, TextPart, ToolCall, as_sent
from lora_tui.workspace.layout import Workspace


class Exported(msgspec.Struct, frozen=True):
    """One line of an export. `key` names the example's content in every workspace; `id` only in this one."""

    id: int
    key: str
    source: str
    session: str  # native id
    native_id: str  # of the user message it begins with
    request: str
    language: str
    decision: str | None
    tags: list[str]
    note: str
    model: str
    agent: str
    outcome: str
    messages: list[dict[str, Any]]  # as sent to a model, with a `weight` where a person gave one


class ExchangedMessage(msgspec.Struct, frozen=True):
    """A message of a line; the same keys as `sources.model.Message` without `about`, and the weight out of it."""

    role: Role
    content: str | list[TextPart | ImagePart | FilePart] | None = None
    reasoning_content: str = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    weight: Literal[0, 1] | None = None

    def message(self) -> Message:
        """As everything else works with it; of `about` only the weight is known."""
        return Message(
            role=self.role,
            content=self.content,
            reasoning_content=self.reasoning_content,
            tool_calls=self.tool_calls,
            tool_call_id=self.tool_call_id,
            about=About(weight=self.weight),
        )


class Imported(msgspec.Struct, frozen=True):
    """What an import reads of a line. What is absent or null says nothing."""

    key: str
    messages: list[ExchangedMessage]
    source: str = ""
    session: str = ""
    native_id: str = ""
    language: str | None = None
    decision: Literal["accept", "reject", "skip", ""] | None = None
    tags: list[str] | None = None
    note: str | None = None


def exported(workspace: Workspace, ids: Iterable[int]) -> Iterator[Exported | None]:
    """These examples, one at a time; None for one that may not leave the workspace (it holds a private key)."""
    connection = workspace.connection()
    for identity in ids:
        found = example(workspace, identity)
        if found.blocked:
            yield None
            continue
        (native_id,) = connection.execute("SELECT native_id FROM example WHERE id = ?", (identity,)).fetchone()
        yield _exported(found, native_id)


def _exported(found: Example, native_id: str) -> Exported:
    row = found.row
    return Exported(
        id=row.id,
        key=found.key,
        source=row.source,
        session=row.session,
        native_id=native_id,
        request=row.request,
        language=row.language,
        decision=row.decision,
        tags=list(row.tags),
        note=row.note,
        model=row.model,
        agent=row.agent,
        outcome=row.outcome,
        messages=[_message(message) for message in found.messages],
    )


def _message(message: Message) -> dict[str, Any]:
    weight = message.about.weight
    return as_sent(message) | ({} if weight is None else {"weight": weight})
