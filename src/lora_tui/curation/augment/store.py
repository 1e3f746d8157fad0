"""Augmented examples in the workspace: stored as sessions of the source 'augment', then accepted or queued.

A person sees every one that fits badly and a fixed share of the others; the rest is accepted in the name of AUTHOR,
with the reason, and can be undone like any decision.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import msgspec

from lora_tui.curation import examples, labels, queues
from lora_tui.curation.augment.candidate import Candidate
from lora_tui.curation.augment.table import table
from lora_tui.curation.filters import Filter
from lora_tui.curation.refresh import refresh
from lora_tui.sources import read
from lora_tui.sources.model import About, Function, Message, Session, ToolCall
from lora_tui.sources.spool import Spool
from lora_tui.workspace.config import load_config
from lora_tui.workspace.layout import Workspace

SOURCE = "augment"
AUTHOR = "augment"


class Settled(msgspec.Struct, frozen=True):
    """What became of the stored ones that nobody had decided about."""

    accepted: int
    queued: int  # in the queue now, earlier ones included
    queue: str  # its name, '' when nothing waits for a person


def known(workspace: Workspace) -> set[str]:
    """The native ids of what is stored already."""
    return {row.native_id for row in read.sessions(workspace, SOURCE)}


def store(workspace: Workspace, candidate: Candidate, request: str, model: str, fit: int) -> None:
    """Store one example as a session of its own."""
    now = time.time_ns() // 1_000_000
    session = Session(
        source=SOURCE,
        native_id=candidate.native_id,
        title=f"augmented: {candidate.kind} {candidate.label}",
        directory=candidate.directory,
        created=now,
        updated=now,
        origin=f"{candidate.directory}/{candidate.path}",
        fingerprint=f"{table().version}:{candidate.native_id}",
        version=f"{table().version} {candidate.language} {fit}",  # `settle` reads it
        licence=candidate.licence,
    )
    workspace.ensure()
    with closing(Spool(workspace.root)) as spool:
        spool.add(session, messages(candidate, request, model, now))
        spool.store(workspace)


def messages(candidate: Candidate, request: str, model: str, now: int = 0) -> Iterator[Message]:
    """The request, what is shown as read calls, the edits with the real code. Tools and arguments are opencode's."""
    about = About(created=now, model=f"human code; request by {model}")
    asked = About(native_id=candidate.native_id, created=now)
    yield Message(role="user", content=request, about=asked)
    shown = candidate.placed.shown
    if shown:
        calls = [
            _call(number, "read", {"filePath": one.path} | _range(one.offset, one.text))
            for number, one in enumerate(shown, start=1)
        ]
        yield Message(role="assistant", tool_calls=calls, about=about)
        for call, one in zip(calls, shown, strict=True):
            yield Message(role="tool", content=one.text, tool_call_id=call.id, about=About(created=now))
    calls = [
        _call(number, "edit", {"filePath": one.path, "oldString": one.old, "newString": one.new})
        if one.old
        else _call(number, "write", {"filePath": one.path, "content": one.new})
        for number, one in enumerate(candidate.placed.written, start=len(shown) + 1)
    ]
    yield Message(role="assistant", tool_calls=calls, about=about)
    for call in calls:
        yield Message(role="tool", content="ok", tool_call_id=call.id, about=About(created=now))


def settle(workspace: Workspace, language: str) -> Settled:
    """Accept, or queue for a person, every stored example of this language that nobody has decided about.

    Safe to repeat: which ones a person sees depends only on the examples, and a decision taken back is not made again.
    """
    refresh(workspace)
    limits = table().limits
    accepted: dict[int, list[int]] = {}
    other_language: list[int] = []
    for row in examples.rows(workspace, examples.ids(workspace, Filter(sources=(SOURCE,), decision="unlabelled"))):
        _, made_for, fit = read.session(workspace, row.session).version.split()
        if made_for != language:
            continue
        if row.language != language:
            other_language.append(row.id)
        fits = int(fit) >= limits.fit_least
        if fits and int(row.session, 16) % 100 >= limits.human_percent and not labels.history(workspace, row.id):
            accepted.setdefault(int(fit), []).append(row.id)
    if other_language:
        labels.decide(workspace, other_language, "language", language, author=AUTHOR, reason="the file's language")
    for points, found in sorted(accepted.items()):
        why = f"code by people; the request fits {points} of 5"
        labels.decide(workspace, found, "accept", author=AUTHOR, reason=why)
    queued = _queue(workspace, language)
    return Settled(sum(map(len, accepted.values())), queued, queue_name(language) if queued else "")


def queue_name(language: str) -> str:
    """The queue in which a language's examples wait for a person."""
    return f"augmented-{language}"


def _queue(workspace: Workspace, language: str) -> int:
    """Freeze anew what waits for a person; decisions made in the old queue stay where they are: at the examples."""
    author = load_config(workspace).labeller
    waiting = Filter(sources=(SOURCE,), languages=(language,), decision="unlabelled")
    name = queue_name(language)
    found = set(examples.ids(workspace, waiting))
    before = [queue for queue in queues.listed(workspace, author) if queue.name == name]
    if before and found == {one.example_id for one in queues.items(workspace, before[0]) if not one.done}:
        return len(found)
    if before:
        queues.remove(workspace, name, author)
    if found:
        queues.create(workspace, name, waiting, author=author, repeats=0)
    return len(found)


def _range(offset: int, text: str) -> dict[str, object]:
    return {"offset": offset, "limit": text.count("\n")} if offset else {}


def _call(number: int, name: str, arguments: dict[str, object]) -> ToolCall:
    return ToolCall(id=f"call_{number}", function=Function(name, msgspec.json.encode(arguments).decode()))
