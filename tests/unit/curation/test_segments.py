"""From a recorded conversation to training candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.curation import examples, labels, reading
from lora_tui.curation.segment import segments
from lora_tui.sources.model import About, Function, Message, ToolCall
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user


def requests(workspace: Workspace) -> list[str]:
    return [row.request for row in examples.rows(workspace, examples.ids(workspace))][::-1]


def test_every_request_becomes_one_example_with_what_was_done_about_it(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [
            user("Write a ring buffer in Rust"),
            *calls("write", {"filePath": "/a/src/lib.rs", "content": "fn x() {}"}, "done"),
            says("It is written."),
            user("Now add unit tests please"),
            says("Added."),
        ],
    )
    report = examples.refresh(workspace)
    assert report.examples == 2
    assert requests(workspace) == ["Write a ring buffer in Rust", "Now add unit tests please"]
    first = reading.example(workspace, 1)
    assert [message.role for message in first.messages] == ["user", "assistant", "tool", "assistant"]


def test_a_short_turn_such_as_continue_stays_with_the_request_before_it(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [user("Rename the module to codec"), says("Shall I go on?"), user("yes, continue"), says("Done.")],
    )
    examples.refresh(workspace)
    assert requests(workspace) == ["Rename the module to codec"]
    assert len(reading.example(workspace, 1).messages) == 4


def test_undone_messages_and_the_users_own_commands_are_in_no_example(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [
            user("Explain the borrow checker"),
            says("It follows lifetimes."),
            user("The following tool was executed by the user", synthetic=(0,), origin="shell"),
            says("", origin="shell"),
            user("Write a haiku about it", reverted=True),
            says("old pond", reverted=True),
        ],
    )
    examples.refresh(workspace)
    assert requests(workspace) == ["Explain the borrow checker"]
    assert all("pond" not in str(message.content) for message in reading.example(workspace, 1).messages)


@pytest.mark.parametrize(
    "words", ["go on", "Please go on with the rest.", "[Request interrupted by user for tool use]"]
)
def test_a_turn_that_asks_nothing_by_itself_opens_no_example(workspace: Workspace, words: str) -> None:
    store_session(workspace, "ses_1", [user("Rename the module to codec"), says("So far."), user(words), says("Done.")])
    examples.refresh(workspace)
    assert requests(workspace) == ["Rename the module to codec"]


def looping(times: int, tool: str = "bash") -> list[Message]:
    arguments = {"command": "cargo test"} if tool == "bash" else {"session_id": 1, "chars": ""}
    return [one for number in range(times) for one in calls(tool, arguments, "same", call_id=f"call_{number}")]


@pytest.mark.parametrize(
    ("reason", "messages"),
    [
        ("looping", [*looping(3), says("It does not work.")]),
        ("refused", [says("I'm sorry, but I can't help with that.")]),
        ("error", [says("", error="APIError")]),
        ("error", [says("", error="APIError", origin="error")]),
        ("interrupted", [says("Half", interrupted=True)]),
        ("empty", []),
        ("empty", calls("read", {"filePath": "a.rs"}, "1: x")),
    ],
    ids=["looping", "refused", "error", "marked error", "interrupted", "nothing said", "only looked"],
)
def test_what_nobody_should_learn_is_dropped_with_its_reason(
    workspace: Workspace, reason: str, messages: list[Message]
) -> None:
    store_session(workspace, "ses_1", [user("Make the parser faster please"), *messages])
    examples.refresh(workspace)
    assert examples.counts(workspace).dropped == {reason: 1}


@pytest.mark.parametrize(
    "messages",
    [
        looping(2),
        [*looping(2), *calls("edit", {"filePath": "a.rs"}, "ok"), *looping(2)],
        [
            *(one for time in "123" for one in calls("bash", {"command": "make test"}, f"0.{time} s", call_id=time)),
            says("It passes each time."),
        ],
        [says("We can't use a callback here, because the parser is synchronous.")],
        [*calls("bash", {"command": "make"}, "…"), *looping(4, "write_stdin"), says("Built.")],
        [*calls("read", {"filePath": "a.rs"}, "x"), says("I'm sorry, but I can't help with that.")],
        [says("", error="APIError", origin="error"), says("After another try: done.")],
    ],
    ids=[
        "twice",
        "twice and again after an edit",
        "three other outcomes",
        "an answer with can't",
        "waiting",
        "looked before it refused",
        "the second try answered",
    ],
)
def test_what_only_resembles_a_reason_to_drop_stays(workspace: Workspace, messages: list[Message]) -> None:
    store_session(workspace, "ses_1", [user("Make the parser faster please"), *messages])
    examples.refresh(workspace)
    assert examples.counts(workspace).total == 1


def test_a_request_without_an_answer_and_an_interrupted_one_are_dropped_with_their_reason(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [user("Do the first thing now"), user("Do the second thing now"), says("Half", interrupted=True)],
    )
    examples.refresh(workspace)
    assert examples.counts(workspace).dropped == {"empty": 1, "interrupted": 1}
    assert examples.counts(workspace).total == 0


def test_nothing_after_a_compaction_is_joined_to_a_request_the_model_no_longer_saw(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [
            user("Refactor the parser into modules"),
            says("Working on it."),
            user("What did we do so far?", origin="compaction"),
            says("We refactored.", origin="compaction"),
            user("Continue if you have next steps", synthetic=(0,)),
            says("Continuing with the rest."),
        ],
    )
    examples.refresh(workspace)
    assert [m.content for m in reading.example(workspace, 1).messages] == [
        "Refactor the parser into modules",
        "Working on it.",
    ]


def test_a_reply_to_a_task_the_user_launched_is_no_answer_to_the_request_before_it(workspace: Workspace) -> None:
    store_session(
        workspace,
        "ses_1",
        [
            user("Note for later, no reply wanted"),
            user("The following tool was executed by the user", synthetic=(0,), origin="subtask"),
            says("I ran it.", origin="subtask"),
            says("The task is done."),
        ],
    )
    examples.refresh(workspace)
    assert examples.counts(workspace).dropped == {"empty": 1}
    assert examples.counts(workspace).total == 0


def test_a_fork_is_not_counted_twice_but_what_it_adds_is(workspace: Workspace) -> None:
    shared = [user("Rename total to sum_ in calc.py"), *calls("edit", {"filePath": "calc.py"}, "ok"), says("Renamed.")]
    store_session(workspace, "ses_origin", shared)
    fork = [user("Rename total to sum_ in calc.py"), *calls("edit", {"filePath": "calc.py"}, "ok"), says("Renamed.")]
    store_session(workspace, "ses_fork", [*fork, user("And add a docstring too"), says("Added.")])
    examples.refresh(workspace)
    assert sorted(requests(workspace)) == ["And add a docstring too", "Rename total to sum_ in calc.py"]
    assert examples.counts(workspace).dropped == {"duplicate": 1}


def test_a_fork_made_in_the_middle_of_a_turn_is_recognised_by_its_calls(workspace: Workspace) -> None:
    request = user("Fix the failing date test")
    first = calls("read", {"filePath": "dates.py"}, "1: x", call_id="call_a")
    second = calls("edit", {"filePath": "dates.py"}, "ok", call_id="call_b")
    store_session(workspace, "ses_fork", [request, *first])
    store_session(workspace, "ses_origin", [request, *first, *second, says("Fixed.")], created=1_790_000_100_000)
    examples.refresh(workspace)
    (kept,) = examples.rows(workspace, examples.ids(workspace))
    assert kept.session == "ses_origin"


def test_equal_call_ids_in_unrelated_sessions_are_no_duplicates(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("List the source files"), *calls("bash", {"command": "ls"}, "a.py")])
    store_session(workspace, "ses_2", [user("Show me the tests folder"), *calls("bash", {"command": "ls"}, "t.py")])
    examples.refresh(workspace)
    assert examples.counts(workspace).total == 2


def test_when_the_original_is_undone_its_fork_takes_its_place(workspace: Workspace) -> None:
    turn = [user("Sort the imports everywhere"), says("Sorted.")]
    store_session(workspace, "ses_origin", turn)
    store_session(workspace, "ses_fork", turn)
    examples.refresh(workspace)
    undone = [user("Sort the imports everywhere", reverted=True), says("Sorted.", reverted=True)]
    store_session(workspace, "ses_origin", undone, fingerprint="2")
    examples.refresh(workspace)
    (kept,) = examples.rows(workspace, examples.ids(workspace))
    assert kept.session == "ses_fork"


def test_a_second_refresh_has_nothing_to_do(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("Write the changelog entry"), says("Written.")])
    assert examples.refresh(workspace).sessions == 1
    assert examples.refresh(workspace).sessions == 0


def test_full_text_search_finds_words_and_unfinished_words(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", [user("Write a ring buffer in Rust"), says("Here is `RingBuf`.")])
    store_session(workspace, "ses_2", [user("Explain the event loop"), says("It polls.")])
    examples.refresh(workspace)
    for text, expected in (
        ("ring buf", 1),
        ("RingBuf", 1),
        ("event loop", 1),
        ("nothing here", 0),
        ('"(*', 0),
        (" ", 2),
    ):
        assert len(examples.ids(workspace, examples.Filter(text=text))) == expected, text


TURN = ("Sort the imports everywhere", "Sorted.")


def turn(**about: object) -> list[Message]:
    return [user(TURN[0], **about), says(TURN[1], **about)]


def test_a_decision_survives_that_its_turn_was_undone_and_redone(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", turn())
    examples.refresh(workspace)
    labels.decide(workspace, [1], "accept", author="ana", language="python")
    store_session(workspace, "ses_1", turn(reverted=True), fingerprint="2")
    examples.refresh(workspace)
    assert examples.counts(workspace).total == 0
    store_session(workspace, "ses_1", turn(), fingerprint="3")
    examples.refresh(workspace)
    row = reading.example(workspace, 1).row
    assert (row.decision, row.language) == ("accept", "python")


def test_an_accepted_example_is_not_dropped_for_a_fork_that_nobody_looked_at(workspace: Workspace) -> None:
    request, edit = user("Fix the failing date test"), calls("edit", {"filePath": "d.py"}, "ok", call_id="call_a")
    store_session(workspace, "ses_origin", [request, *edit, says("Fixed.")])
    examples.refresh(workspace)
    labels.decide(workspace, [1], "accept", author="ana")
    more = calls("edit", {"filePath": "d.py"}, "ok", call_id="call_b")
    store_session(workspace, "ses_fork", [request, *edit, says("Fixed."), user("yes do it"), *more, says("Done.")])
    examples.refresh(workspace)
    (kept,) = examples.rows(workspace, examples.ids(workspace))
    assert (kept.session, kept.decision) == ("ses_origin", "accept")


def test_a_fork_counts_again_when_its_origin_lost_what_it_repeats(workspace: Workspace) -> None:
    request = user("Fix the failing date test")
    first = calls("read", {"filePath": "d.py"}, "x", call_id="call_a")
    second = calls("edit", {"filePath": "d.py"}, "ok", call_id="call_b")
    store_session(workspace, "ses_origin", [request, *first, *second, says("Fixed.")])
    store_session(workspace, "ses_fork", [request, *first, *second, says("Fixed.")])
    examples.refresh(workspace)
    store_session(workspace, "ses_origin", [request, *first, says("Looked.")], fingerprint="2")
    examples.refresh(workspace)
    (kept,) = examples.rows(workspace, examples.ids(workspace))
    assert kept.session == "ses_fork"


def test_an_answer_that_turns_out_aborted_is_no_candidate_any_more(workspace: Workspace) -> None:
    store_session(workspace, "ses_1", turn())
    examples.refresh(workspace)
    aborted = [user(TURN[0]), says(TURN[1], interrupted=True, error="MessageAbortedError")]
    store_session(workspace, "ses_1", aborted, fingerprint="2")
    examples.refresh(workspace)
    assert examples.counts(workspace).dropped == {"interrupted": 1}


WORDS = st.sampled_from(
    ["", "yes", "Fix the parser please", "[Request interrupted by user]", "```rb\nx\n```", "#!/bin/sh"]
)
CALLS = st.lists(st.tuples(st.sampled_from(["bash", "Edit", "x"]), st.sampled_from(["", "{}", '{"command": ["a"]}'])))


@st.composite
def anything_said(draw: st.DrawFn) -> Message:
    """A message as no agent would write it."""
    role = draw(st.sampled_from(["user", "assistant", "tool", "system"]))
    made = [ToolCall(id="c", function=Function(name, text)) for name, text in draw(CALLS)]
    about = About(
        reverted=draw(st.booleans()),
        interrupted=draw(st.booleans()),
        origin=draw(st.sampled_from(["", "", "compaction", "error"])),
        exit=draw(st.none() | st.integers(0, 130)),
    )
    return Message(role=role, content=draw(WORDS), tool_calls=made, tool_call_id="c", about=about)


@given(st.lists(anything_said(), max_size=12))
def test_however_strange_a_conversation_its_examples_lie_in_it_in_order(messages: list[Message]) -> None:
    position = -1
    for segment in segments(messages):
        assert position < segment.first_seq <= segment.last_seq < len(messages)
        assert segment.request
        position = segment.last_seq


def test_a_request_written_without_spaces_begins_an_example_and_a_short_turn_does_not(workspace: Workspace) -> None:
    """Chinese and Japanese write no spaces: a whole sentence is no short turn."""
    store_session(
        workspace,
        "ses_1",
        [
            user("请把解析器改成异步的"),
            says("好的。"),
            user("继续吧"),
            says("完成了。"),
            user("现在给所有公共函数加上单元测试"),
            says("已添加。"),
        ],
    )
    examples.refresh(workspace)
    assert requests(workspace) == ["请把解析器改成异步的", "现在给所有公共函数加上单元测试"]


def test_a_copy_that_takes_the_place_of_its_original_keeps_what_was_decided_about_it(workspace: Workspace) -> None:
    told = [user("Rename the module to codec"), *calls("edit", {"filePath": "a.rs", "newString": "b"}, "ok")]
    store_session(workspace, "ses_1", told)
    examples.refresh(workspace)
    labels.decide(workspace, [1], "accept", author="ana", reason="clean")
    labels.edit(workspace, 1, [user("Rename it"), says("Renamed.")], author="ana")
    store_session(workspace, "ses_fork", told)
    examples.refresh(workspace)
    assert [row.id for row in examples.rows(workspace, examples.ids(workspace))] == [1]
    store_session(workspace, "ses_1", [user("Something else entirely, please"), says("Done.")], fingerprint="2")
    examples.refresh(workspace)
    copy = reading.example(workspace, 2).row
    assert (copy.decision, copy.edited, copy.dropped) == ("accept", True, "")
    assert reading.example(workspace, 1).row.decision is None
    assert labels.undo(workspace, "ana", [2]).action == "edit"
    assert labels.undo(workspace, "ana", [2]).action == "accept"
    assert reading.example(workspace, 2).row.decision is None
