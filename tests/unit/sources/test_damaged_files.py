"""Whatever happened to a file: nothing is raised, and what comes out is a conversation a model could have had."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import claude_files
import codex_files
from aider_files import EDIT, asked, chat, done, said
from lora_tui.sources.aider.source import Aider
from lora_tui.sources.claude_code.source import Projects
from lora_tui.sources.codex.source import Rollouts
from lora_tui.sources.model import Message
from lora_tui.sources.registry import Describing, Opened, Quarantined, Store

CLAUDE = ("\n".join(claude_files.fixed_a_bug().lines) + "\n").encode()
CODEX = ("\n".join(codex_files.fixed_a_bug().lines) + "\n").encode()
AIDER = chat(asked("Change it"), said(EDIT), done(), asked("And more"), said("No."), done()).encode()

_DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300), st.binary(max_size=12)), min_size=1, max_size=5)


def damaged(content: bytes, damage: list[tuple[float, int, bytes]]) -> bytes:
    """At some places (0 … 1) some bytes are lost and others stand there."""
    for place, lost, put in damage:
        start = int(place * len(content))
        content = content[:start] + put + content[start + lost :]
    return content


def told(store: Store) -> Iterator[list[Message]]:
    """Every conversation of a store, read as an ingest reads it."""
    bad: list[Quarantined] = []
    with store.reading() as opened:
        for session in opened.sessions(bad.append):
            for one in described(opened)(session, bad.append):
                yield list(opened.messages(one, bad.append))


def described(opened: Opened) -> Callable[..., object]:
    return opened.described if isinstance(opened, Describing) else lambda session, _: [session]


def assert_paired(messages: list[Message]) -> None:
    """After an answer stand the outputs of its calls, in their order, and nowhere else."""
    due: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert due.pop(0) == message.tool_call_id
        else:
            assert due == []
            due = [call.id for call in message.tool_calls]
    assert due == []


@settings(max_examples=150, deadline=None)
@given(st.just(CLAUDE) | st.just(CODEX) | st.just(AIDER), _DAMAGE)
def test_a_damaged_file_is_read_as_far_as_it_can_be(content: bytes, damage: list[tuple[float, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_all_paired(Path(folder), content, damaged(content, damage))


@pytest.mark.parametrize("content", [CLAUDE, CODEX, AIDER], ids=["claude-code", "codex", "aider"])
def test_a_file_may_end_anywhere(content: bytes, tmp_path: Path) -> None:
    for end in range(0, len(content), 97):
        assert_all_paired(tmp_path, content, content[:end])


def assert_all_paired(folder: Path, kind: bytes, content: bytes) -> None:
    if kind is AIDER:
        path = folder / ".aider.chat.history.md"
        path.write_bytes(content)
        stores = Aider().stores([path])
    else:
        path = folder / f"rollout-{codex_files.SESSION}.jsonl"
        path.write_bytes(content)
        stores = [Projects(path) if kind is CLAUDE else Rollouts(path, [path])]
    for store in stores:
        for messages in told(store):
            assert_paired(messages)
