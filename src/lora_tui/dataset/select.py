"""Which examples a dataset takes, and why each of the others was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from lora_tui.curation import examples, reading
from lora_tui.curation.examples import ExampleRow, Filter
from lora_tui.curation.reading import Example
from lora_tui.dataset.model import Rejected, Row, RowMessage
from lora_tui.sources.model import Message, text_of
from lora_tui.workspace.layout import Workspace

_PAGE = 200


class Candidate(msgspec.Struct, frozen=True):
    """A row with what the split needs to know."""

    row: Row
    created: int


def select(workspace: Workspace, languages: Sequence[str], min_confidence: float) -> Iterator[Candidate | Rejected]:
    """Go through every labelled example: accepted ones of these languages (all when empty) become rows.

    A person's language outweighs the machine's confidence. Memory: one page of examples.
    """
    chosen = examples.ids(workspace, Filter(decision="labelled"))
    for start in range(0, len(chosen), _PAGE):
        for found in examples.rows(workspace, chosen[start : start + _PAGE]):
            whole = reading.example(workspace, found.id)
            reason = _left_out(found, languages, min_confidence) or _unusable(whole)
            if reason:
                yield Rejected(whole.key, found.id, reason, found.request)
            else:
                yield Candidate(_row(whole), found.created)


def _left_out(row: ExampleRow, languages: Sequence[str], min_confidence: float) -> str:
    if row.decision != "accept":
        return f"label: {row.decision}"
    if languages and row.language not in languages:
        return f"language: {row.language}"
    if row.language == row.machine_language and row.confidence < min_confidence:
        return "confidence"
    return ""


def _unusable(example: Example) -> str:
    if not any(
        message.role == "assistant" and (text_of(message) or message.tool_calls) for message in example.messages
    ):
        return "no answer"
    return ""


def _row(example: Example) -> Row:
    row = example.row
    messages = [_message(message) for message in example.messages]
    return Row(
        id=hashlib.blake2b(msgspec.json.encode(messages), digest_size=16).hexdigest(),
        messages=messages,
        language=row.language,
        source=row.source,
        session=row.session,
        model=row.model,
        example=row.id,
    )


def _message(message: Message) -> RowMessage:
    return RowMessage(
        role=message.role,
        content=text_of(message),
        reasoning_content=message.reasoning_content,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
    )
