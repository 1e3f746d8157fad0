"""Which examples a dataset takes, and why each of the others was left out."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from lora_tui.curation import examples, reading
from lora_tui.curation.context import context
from lora_tui.curation.decisions import STANDING
from lora_tui.curation.examples import ExampleRow, Filter
from lora_tui.curation.reading import Example
from lora_tui.curation.redact import redact_text
from lora_tui.curation.weights import weights
from lora_tui.dataset.agent import agent
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.earlier import about_the_same_files
from lora_tui.dataset.model import Origin, Rejected, Row, RowMessage
from lora_tui.dataset.plain import plain
from lora_tui.dataset.split import roots
from lora_tui.dataset.unfit import Unfit
from lora_tui.sources.model import Message
from lora_tui.sources.opencode.capture import Capture, system_for
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

MACHINES = ("augment", "demo", "cycle")  # authors of labels that are no people

CHATS = "chat"  # the source whose sessions were in no folder

_PAGE = 200
_ORIGINS: dict[str, Origin] = {"git": "commit", "augment": "synthetic"}  # by source
_PLACEHOLDER = re.compile(r"<(?:SECRET|PII):([^:<>]+):\d+>")
_EARLIER = 200_000  # characters of the session that are looked through for what its files were like


def select(
    workspace: Workspace,
    data: Data,
    capture: Capture | None = None,
    suite_like: Callable[[Row], str] = lambda row: "",
) -> Iterator[tuple[Candidate, Row] | Rejected]:
    """Go through every labelled example: accepted ones that `data` asks for become rows.

    suite_like: the name of the suite that has a prompt too much like a row, '' where none has.
    A person's language outweighs the machine's confidence. Memory: one page of examples.
    """
    people, above = accepted_by_people(workspace), _roots(workspace)
    chosen = examples.ids(workspace, Filter(decision="labelled"))
    for start in range(0, len(chosen), _PAGE):
        page = chosen[start : start + _PAGE]
        keys = _keys(workspace, page)
        for found in examples.rows(workspace, page):
            reason = _left_out(found, data, found.id in people)
            if reason:
                yield Rejected(keys[found.id], found.id, reason, found.request)
                continue
            made = shaped(workspace, found, data, capture)
            if isinstance(made, Rejected):
                yield made
                continue
            whole, row, findings = made
            candidate = _candidate(whole, row, findings, found.id in people, above)
            suite = suite_like(row)
            yield msgspec.structs.replace(candidate, suite=sys.intern(suite)) if suite else candidate, row


def _whole(workspace: Workspace, identity: int, shape: str, room: int) -> Example:
    """The example with what its row needs of the session's earlier requests."""
    if shape != "plain":
        return reading.example(workspace, identity, context(workspace, identity, room) if room else ())
    alone = reading.example(workspace, identity)
    earlier = about_the_same_files(context(workspace, identity, _EARLIER), alone.messages)
    return reading.example(workspace, identity, earlier) if earlier else alone


def _keys(workspace: Workspace, ids: Sequence[int]) -> dict[int, str]:
    """The content hash of each example."""
    marks = ",".join("?" * len(ids))
    found = workspace.connection().execute(f"SELECT id, key FROM example WHERE id IN ({marks})", tuple(ids))
    return dict(found.fetchall())


def _left_out(row: ExampleRow, data: Data, by_person: bool) -> str:
    if row.decision != "accept":
        return f"label: {row.decision}"
    if data.accepted_by == "people" and not by_person:
        return "accepted by a rule, not by a person"
    if data.languages and row.language not in data.languages:
        return f"language: {row.language}"
    if row.language == row.machine_language and row.confidence < data.min_confidence:
        return "confidence"
    if data.outcomes and row.outcome not in data.outcomes:
        return f"outcome: {row.outcome}"
    if data.models and row.model not in data.models:
        return f"model: {row.model or 'unknown'}"
    if data.sources and row.source not in data.sources:
        return f"source: {row.source}"
    return ""


def _messages(example: Example, shape: str, data: Data, capture: Capture | None) -> list[RowMessage]:
    """The row's messages. Raises Unfit."""
    row = example.row
    directory, _ = redact_text(row.directory)  # as the paths in the messages are written by now
    weighed = [
        _weighed(message, weight) for message, weight in zip(example.messages, weights(example.messages), strict=True)
    ]
    if shape == "plain":
        return plain(weighed, row.source, directory, data.form)
    system = ""
    if capture is not None:
        system = system_for(
            capture, directory=directory, created=row.created, model=f"lora-tui/{capture.agent}"
        )  # the recorded model's name would be learned as the fine-tune's own
    return agent(weighed, row.source, data, capture, system)


def _weighed(message: Message, weight: int) -> Message:
    return msgspec.structs.replace(message, about=msgspec.structs.replace(message.about, weight=weight))


def _said(message: RowMessage) -> bool:
    return bool(message.content.strip() or message.tool_calls)


def shaped(
    workspace: Workspace, found: ExampleRow, data: Data, capture: Capture | None
) -> tuple[Example, Row, tuple[str, ...]] | Rejected:
    """The row that an accepted example becomes, with the rule of each placeholder in it; or why it becomes none."""
    shape = "plain" if found.source in _ORIGINS else data.shape
    whole = _whole(workspace, found.id, shape, data.context)
    if whole.blocked:
        return Rejected(whole.key, found.id, whole.blocked, found.request)
    try:
        messages = _messages(whole, shape, data, capture)
    except Unfit as error:
        return Rejected(whole.key, found.id, error.reason, found.request, error.about)
    if not any(message.role == "assistant" and message.weight and _said(message) for message in messages):
        return Rejected(whole.key, found.id, "nothing to learn from", found.request)
    return whole, *_row(whole, shape, messages, capture)


def accepted_by_people(workspace: Workspace) -> set[int]:
    """The examples that a person accepted, not only a rule."""
    marks = ",".join("?" * len(MACHINES))
    found = workspace.connection().execute(
        f"SELECT example_id FROM ({STANDING}) AS standing JOIN example ON example.id = standing.example_id "
        f"AND example.key = standing.example_key WHERE standing.action = 'accept' AND author NOT IN ({marks})",
        MACHINES,
    )
    return {identity for (identity,) in found}


def _roots(workspace: Workspace) -> dict[str, str]:
    found = workspace.connection().execute("SELECT native_id, parent FROM session WHERE parent IS NOT NULL")
    return roots(dict(found.fetchall()))


def _row(
    example: Example, shape: str, messages: list[RowMessage], capture: Capture | None
) -> tuple[Row, tuple[str, ...]]:
    found = example.row
    encoded = msgspec.json.encode(messages)
    row = Row(
        id=hashlib.blake2b(encoded, digest_size=16).hexdigest(),
        messages=messages,
        language=found.language,
        source=found.source,
        session=found.session,
        model=found.model,
        key=example.key,
        repository=_last(_repository(found)),
        shape=shape,
        origin=_ORIGINS.get(found.source, "session"),
        licence=found.licence,
        toolset=capture.agent if capture is not None and shape == "agent" else "",
    )
    return row, tuple(map(sys.intern, _PLACEHOLDER.findall(encoded.decode())))


def _repository(row: ExampleRow) -> str:
    """The folder that was worked in; '' where that says nothing: a chat file lies where somebody put it."""
    return row.directory if row.source != CHATS and _last(row.directory) else ""


def _last(directory: str) -> str:
    """A folder's own name."""
    return directory.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _candidate(
    example: Example, row: Row, findings: tuple[str, ...], by_person: bool, above: Mapping[str, str]
) -> Candidate:
    found = example.row
    return Candidate(
        id=row.id,
        key=row.key,
        example=found.id,
        language=sys.intern(row.language),
        source=sys.intern(row.source),
        origin=row.origin,
        shape=sys.intern(row.shape),
        model=sys.intern(row.model),
        licence=sys.intern(row.licence),
        session=sys.intern(row.session),
        root=sys.intern(above.get(row.session, row.session)),
        repository=sys.intern(_repository(found)),
        created=found.created,
        cluster=found.cluster,
        characters=found.characters,
        success=found.outcome == "success",
        request=found.request,
        by_person=by_person,
        findings=findings,
    )
