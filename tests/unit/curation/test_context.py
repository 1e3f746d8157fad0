"""What came before a request in its session, as far as there is room."""

from __future__ import annotations

import pytest

from lora_tui.curation import examples
from lora_tui.curation.context import context
from lora_tui.curation.weights import weights
from lora_tui.sources.model import Message
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

FIRST = [
    user("Write a ring buffer in Rust"),
    *calls("write", {"filePath": "src/ring.rs", "content": "struct Ring;"}, "ok", call_id="call_1"),
    says("Written."),
]
SECOND = [
    user("Now make it generic please"),
    *calls("edit", {"filePath": "src/lib.rs", "oldString": "a", "newString": "b"}, "ok", call_id="call_2"),
    says("It is generic."),
]
THIRD = [user("And document the module too"), says("Documented.")]


def before_third(workspace: Workspace, messages: list[Message], room: int) -> list[Message]:
    store_session(workspace, "ses_1", messages)
    examples.refresh(workspace)
    ids = sorted(examples.ids(workspace))
    return context(workspace, ids[-1], room)


def requests(messages: list[Message]) -> list[object]:
    return [message.content for message in messages if message.role == "user"]


def test_with_room_enough_everything_before_is_there_in_order_and_nothing_of_it_is_learned(
    workspace: Workspace,
) -> None:
    found = before_third(workspace, [*FIRST, *SECOND, *THIRD], 10_000)
    assert [message.content for message in found] == [message.content for message in (*FIRST, *SECOND)]
    assert all(message.about.context for message in found)
    assert not any(weights(found))


def test_with_less_room_the_newest_whole_request_stays_and_a_line_names_the_files(workspace: Workspace) -> None:
    found = before_third(workspace, [*FIRST, *SECOND, *THIRD], 150)
    assert requests(found) == [
        "[Changed so far in this session: src/ring.rs, src/lib.rs]",
        "Now make it generic please",
    ]


def test_a_long_output_takes_no_more_room_than_it_will_be_cut_to(workspace: Workspace) -> None:
    long = [user("Show me the whole log"), *calls("bash", {"command": "cat log"}, "x\n" * 50_000), says("Shown.")]
    assert requests(before_third(workspace, [*long, *THIRD], 3_000)) == ["Show me the whole log"]


def test_what_came_before_a_compaction_is_no_context(workspace: Workspace) -> None:
    compaction = [user("What did we do so far?", origin="compaction"), says("A ring.", origin="compaction")]
    found = before_third(workspace, [*FIRST, *compaction, *SECOND, *THIRD], 10_000)
    assert requests(found)[1:] == ["Now make it generic please"]
    assert "src/ring.rs" in str(found[0].content)


def test_what_was_undone_is_no_context(workspace: Workspace) -> None:
    undone = [user("Delete the tests please", reverted=True), says("Deleted.", reverted=True)]
    assert requests(before_third(workspace, [*FIRST, *undone, *THIRD], 10_000)) == ["Write a ring buffer in Rust"]


@pytest.mark.parametrize("room", [0, -1])
def test_without_room_there_is_none(workspace: Workspace, room: int) -> None:
    assert before_third(workspace, [*FIRST, *SECOND, *THIRD], room) == []


def test_the_first_request_has_none(workspace: Workspace) -> None:
    assert before_third(workspace, FIRST, 10_000) == []


def test_an_unknown_example_is_a_clear_error(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="no example 7"):
        context(workspace, 7, 100)
