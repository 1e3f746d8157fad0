"""How a request was worked on: the table proves itself, and every outcome shows its signs."""

from __future__ import annotations

import re

import msgspec
import pytest

from lora_tui.curation import examples
from lora_tui.curation.outcome import Course, Signal, continues, refuses
from lora_tui.curation.outcome_rules import table
from lora_tui.curation.segment import Segment, segments
from lora_tui.sources.model import Message
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

_CASE_MATTERS = {"command", "harmless", "interruption", "not_run", "passed", "failed"}
ROWS = [
    *((f"check-{name}", row) for name, row in table().check.items()),
    ("commit", table().commit),
    ("failing", table().failing),
    ("words", table().words),
]
PATTERNS = [
    (f"{name}-{field}", getattr(row, field), getattr(row, f"{field}_yes"), getattr(row, f"{field}_no"), field)
    for name, row in ROWS
    for field in row.__struct_fields__
    if f"{field}_yes" in row.__struct_fields__
]


@pytest.mark.parametrize(("name", "pattern", "yes", "no", "field"), PATTERNS, ids=[row[0] for row in PATTERNS])
def test_every_pattern_finds_its_cases_and_none_of_the_others(
    name: str, pattern: str, yes: tuple[str, ...], no: tuple[str, ...], field: str
) -> None:
    flags = re.M if field in ("passed", "failed") else 0 if field in _CASE_MATTERS else re.I
    assert yes, f"{name} needs cases that it finds"
    assert no, f"{name} needs cases that it does not find"
    for case in yes:
        assert re.search(pattern, case, flags), case
    for case in no:
        assert not re.search(pattern, case, flags), case


def first(messages: list[Message], source: str = "opencode") -> Segment:
    return next(segments(messages, source))


def run(command: str, output: str, exit_code: int | None = None, call_id: str = "call_r") -> list[Message]:
    call, result = calls("bash", {"command": command}, output, call_id=call_id)
    about = msgspec.structs.replace(result.about, exit=exit_code)
    return [call, msgspec.structs.replace(result, about=about)]


REQUEST = user("Make the stack generic over its items")
EDIT = calls("edit", {"filePath": "src/lib.rs", "oldString": "a", "newString": "b"}, "ok", call_id="call_e")


def names(segment: Segment) -> list[str]:
    return [signal.name for signal in segment.signals]


def test_tests_that_pass_after_the_last_edit_are_a_success_and_say_what_passed() -> None:
    segment = first([REQUEST, *EDIT, *run("cargo test", "test result: ok. 3 passed; 0 failed", 0), says("Done.")])
    assert segment.outcome == "success"
    assert segment.signals == [Signal("tests passed", "cargo test: test result: ok. 3 passed; 0 failed")]


def test_tests_that_passed_before_the_last_edit_say_nothing() -> None:
    passed = run("cargo test", "test result: ok. 3 passed; 0 failed", 0)
    segment = first([REQUEST, *EDIT, *passed, *EDIT, says("Done.")])
    assert (segment.outcome, segment.signals) == ("unknown", [])


def test_a_failure_after_the_last_edit_outweighs_what_passed() -> None:
    built = run("cargo build", "    Finished dev [unoptimized] target(s) in 0.1s", 0)
    broken = run("cargo test", "test result: FAILED. 1 passed; 1 failed", 101)
    segment = first([REQUEST, *EDIT, *built, *broken, says("One fails.")])
    assert (segment.outcome, names(segment)) == ("failed", ["tests failed", "build passed"])


def test_a_failure_that_was_fixed_is_forgotten() -> None:
    broken, fine = run("pytest -q", "1 failed, 2 passed in 0.1s", 1), run("pytest -q", "3 passed in 0.1s", 0)
    assert first([REQUEST, *EDIT, *broken, *EDIT, *fine]).outcome == "success"


def test_a_pipe_does_not_hide_that_the_tests_failed() -> None:
    segment = first([REQUEST, *EDIT, *run("cargo test 2>&1 | tail -5", "test result: FAILED. 0 passed; 2 failed", 0)])
    assert segment.outcome == "failed"


def test_without_an_exit_code_the_output_decides() -> None:
    assert first([REQUEST, *EDIT, *run("bundle exec rspec", "5 examples, 0 failures")]).outcome == "success"
    assert first([REQUEST, *EDIT, *run("bundle exec rspec", "5 examples, 2 failures")]).outcome == "failed"
    assert first([REQUEST, *EDIT, *run("bundle exec rspec", "…")]).outcome == "unknown"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("cd app && python3 -m unittest -q 2>&1 | tail -5", "python3 -m unittest -q 2>&1"),
        ("RUST_BACKTRACE=1 cargo test --all; echo", "RUST_BACKTRACE=1 cargo test --all"),
        ("make check", "make check"),
    ],
)
def test_a_sign_shows_the_command_that_gave_it_and_no_more(command: str, shown: str) -> None:
    (signal,) = first([REQUEST, *EDIT, *run(command, "OK")]).signals
    assert signal.detail == f"{shown}: OK"


def test_a_missing_program_is_no_failure_of_the_work() -> None:
    segment = first([REQUEST, *EDIT, *run("swift build", "bash: line 1: swift: command not found", 127)])
    assert (segment.outcome, segment.signals) == ("unknown", [])


def test_tests_that_fail_where_nothing_was_changed_are_no_failure_of_the_work() -> None:
    segment = first([user("Run the tests for me"), *run("cargo test", "test result: FAILED. 1 failed", 101)])
    assert segment.outcome == "unknown"


def test_a_style_check_is_shown_but_decides_nothing() -> None:
    segment = first([REQUEST, *EDIT, *run("bundle exec rubocop", "3 files inspected, 2 offenses detected", 1)])
    assert (segment.outcome, names(segment)) == ("unknown", ["lint failed"])


def test_a_commit_is_a_success() -> None:
    segment = first([REQUEST, *EDIT, *run("git add -A && git commit -m x", "[main 3c4d] Make it generic", 0)])
    assert (segment.outcome, names(segment)) == ("success", ["committed"])
    empty = first([REQUEST, *EDIT, *run("git commit -am x", "nothing to commit, working tree clean", 1)])
    assert empty.outcome == "unknown"


def test_what_the_user_says_next_tells_how_it_went() -> None:
    passed = run("cargo test", "test result: ok. 3 passed; 0 failed", 0)
    complained = first([REQUEST, *EDIT, *passed, says("Done."), user("That's wrong, it must be generic"), says("Oh")])
    assert (complained.outcome, names(complained)) == ("complained", ["complaint", "tests passed"])
    content = first([REQUEST, *EDIT, *passed, says("Done."), user("Great. Now document the module"), says("Ok")])
    assert (content.outcome, names(content)) == ("success", ["tests passed", "no complaint"])


def test_a_short_complaint_that_was_worked_on_is_settled_but_an_undo_is_not() -> None:
    settled = first([REQUEST, *EDIT, says("Done."), user("still failing"), *EDIT, *run("cargo test", "ok", 0)])
    assert settled.outcome == "success"
    undone = first([REQUEST, *EDIT, says("Done."), user("undo that"), *EDIT, says("Undone.")])
    assert undone.outcome == "complained"


def test_messages_that_the_user_undid_show() -> None:
    segment = first([REQUEST, *EDIT, says("Also renamed it.", reverted=True)])
    assert (segment.outcome, names(segment)) == ("complained", ["undone"])


def test_edits_that_were_applied_and_committed_by_the_program_count() -> None:
    block = "lib/a.rb\n```ruby\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```"
    segment = first([REQUEST, says(block, diffs=("lib/a.rb",), commit="f48cd5e")], "aider")
    assert (segment.outcome, names(segment)) == ("success", ["committed", "applied"])


@pytest.mark.parametrize("source", ["git", "augment"])
def test_real_code_is_a_success(source: str) -> None:
    assert first([REQUEST, *EDIT], source).outcome == "success"


def test_no_secret_stands_in_a_sign(workspace: Workspace) -> None:
    token = "gh" + "p_" + "a8Kd" * 9
    segment = first([REQUEST, *EDIT, *run(f"TOKEN={token} cargo test", "ok", 0), user(f"That's wrong: {token} leaks")])
    assert token not in str(segment.signals)
    assert token not in str(segment.verdict)


def test_the_outcome_is_stored_and_follows_the_next_turn(workspace: Workspace) -> None:
    messages = [REQUEST, *EDIT, says("Done.")]
    store_session(workspace, "ses_1", messages)
    examples.refresh(workspace)
    stored = "SELECT outcome, signals, opinion FROM example WHERE id = 1"
    assert workspace.connection().execute(stored).fetchone() == ("unknown", b"[]", "")
    store_session(workspace, "ses_1", [*messages, user("It doesn't work on empty input"), says("…")], fingerprint="2")
    examples.refresh(workspace)
    outcome, signals, _ = workspace.connection().execute(stored).fetchone()
    assert outcome == "complained"
    assert msgspec.json.decode(signals, type=list[Signal])[0].detail == "It doesn't work on empty input"


def test_a_turn_that_only_says_go_on_is_known_by_its_words() -> None:
    assert continues("Please go on with the rest.")
    assert continues("[Request interrupted by user for tool use]")
    assert not continues("Now add unit tests")


def test_a_long_answer_is_no_refusal() -> None:
    assert refuses("I'm sorry, but I can't help with that.")
    assert not refuses("I'm sorry, but I can't help with that." + " Here is why." * 60)


def test_outputs_of_calls_nobody_made_are_no_sign() -> None:
    course = Course()
    course.add(Message(role="tool", content="test result: ok. 1 passed", tool_call_id="nobody"))
    assert (course.outcome(), course.signals()) == ("unknown", [])


@pytest.mark.parametrize(
    ("said", "outcome"),
    [("No.", "success"), ("No, now write the docs please", "success"), ("No, that's wrong and it fails", "complained")],
)
def test_no_is_an_answer_to_a_question_and_a_complaint_otherwise(said: str, outcome: str) -> None:
    passed = run("cargo test", "test result: ok. 3 passed; 0 failed", 0)
    asked = first([REQUEST, *EDIT, *passed, says("Done. Shall I rename the file too?"), user(said), says("Fine.")])
    assert asked.outcome == outcome
    told = first([REQUEST, *EDIT, *passed, says("Done."), user(said), says("Fine.")])
    assert told.outcome == "complained"
