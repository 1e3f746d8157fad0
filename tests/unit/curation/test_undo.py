"""Undo brings back any earlier state, one decision after another, whatever was decided how."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.curation import examples, labels, queues, reading
from lora_tui.curation.queues import Queue
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

NUMBER = 5

_ids = st.lists(st.integers(1, NUMBER), min_size=1, max_size=NUMBER, unique=True)
_said = st.one_of(
    st.tuples(st.sampled_from(["accept", "reject", "skip", "flag", "unflag"]), st.none()),
    st.tuples(st.just("language"), st.sampled_from(["rust", "ruby"])),
    st.tuples(st.just("note"), st.sampled_from(["look again", "nice", ""])),
    st.tuples(st.sampled_from(["tag", "untag"]), st.sampled_from(["style", "tests"])),
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), _ids, _said),
        st.tuples(st.just("answer"), st.integers(0, NUMBER - 1), _said),
        st.tuples(st.just("edit"), st.integers(1, NUMBER), st.sampled_from(["Better.", "Shorter."])),
    ),
    max_size=12,
)


def _state(workspace: Workspace, queue: Queue) -> tuple[object, ...]:
    everything = list(range(1, NUMBER + 1))
    return (
        examples.rows(workspace, everything),
        [reading.example(workspace, identity).messages for identity in everything],
        [(item.position, item.done) for item in queues.items(workspace, queue)],
    )


def _take(workspace: Workspace, queue: Queue, step: tuple[object, ...]) -> bool:
    """Take one step; False when it would have changed nothing and was refused."""
    match step:
        case ("decide", ids, (action, value)):
            labels.decide(workspace, ids, action, value, author="me")  # type: ignore[arg-type]
        case ("answer", position, (action, value)):
            queues.decide(workspace, queue, position, action, value)  # type: ignore[arg-type]
        case ("edit", identity, text):
            messages = reading.example(workspace, identity).messages  # type: ignore[arg-type]
            if messages[-1].content == text:
                return False
            changed = [*messages[:-1], msgspec.structs.replace(messages[-1], content=text)]  # type: ignore[type-var]
            labels.edit(workspace, identity, changed, author="me")  # type: ignore[arg-type]
    return True


@settings(max_examples=40, deadline=None)
@given(_steps)
def test_undo_restores_every_state_in_turn(steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        for number in range(NUMBER):
            store_session(workspace, f"s{number}", [user(f"Write a parser number {number}"), says(f"Parser {number}.")])
        examples.refresh(workspace)
        queue = queues.create(workspace, "all", author="me")
        states = [_state(workspace, queue)]
        states += [_state(workspace, queue) for step in steps if _take(workspace, queue, step)]
        for before in reversed(states[:-1]):
            assert labels.undo(workspace, "me") is not None
            assert _state(workspace, queue) == before
        assert labels.undo(workspace, "me") is None
        workspace.close()
