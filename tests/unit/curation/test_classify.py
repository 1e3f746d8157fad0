"""Language evidence: the table proves itself, and a verdict explains itself."""

from __future__ import annotations

import re

import pytest

from lora_tui.curation.classify import Classifier, Verdict
from lora_tui.curation.language_rules import rules
from lora_tui.sources.model import Message
from stories import calls, says, user

RULES = [*rules().table.language.items(), ("js/ts", rules().table.either)]


def classify(messages: list[Message]) -> Verdict:
    classifier = Classifier()
    for message in messages:
        classifier.add(message)
    return classifier.verdict()


@pytest.mark.parametrize(("name", "row"), RULES, ids=[name for name, _ in RULES])
def test_every_pattern_matches_its_positive_cases_and_none_of_its_negative_ones(name: str, row: object) -> None:
    for pattern, yes, no in (
        (row.command, row.command_yes, row.command_no),
        (row.output, row.output_yes, row.output_no),
    ):
        for case in yes:
            assert re.search(pattern, case + " ", re.M), case
        for case in no:
            assert not (pattern and re.search(pattern, case + " ", re.M)), case
        assert not pattern or (yes and no), f"{name} needs cases"
    for cases, needs in ((row.command_yes, row.command_needs), (row.output_yes, row.output_needs)):
        for case in cases:
            assert any(literal in case for literal in needs), f"no literal of {name} lets {case!r} through"


def test_work_on_rust_files_is_rust_and_says_why() -> None:
    verdict = classify(
        [
            user("Make it generic"),
            *calls("edit", {"filePath": "/p/src/lib.rs"}, "ok"),
            *calls("bash", {"command": "cargo test"}, "test result: ok. 3 passed; 0 failed"),
        ]
    )
    assert (verdict.language, verdict.confidence, verdict.sure) == ("rust", 1.0, True)
    assert [item.detail for item in verdict.evidence][:2] == ["1 edit of .rs", "1 command: cargo test"]


def test_edits_in_two_languages_are_mixed() -> None:
    verdict = classify(
        [
            user("Keep both sides in step"),
            *calls("edit", {"filePath": "a.rs"}, "ok"),
            *calls("edit", {"filePath": "a.ts"}, "ok"),
        ]
    )
    assert verdict.language == "mixed"
    assert verdict.shares == {"rust": 0.5, "typescript": 0.5}


def test_talk_without_code_is_none() -> None:
    assert classify([user("What is a LoRA adapter?"), says("A low-rank update.")]).language == "none"


def test_a_plain_answer_counts_when_the_request_names_the_language() -> None:
    verdict = classify([user("Write a Rust function that adds"), says("```rust\nfn add() {}\n```")])
    assert verdict.language == "rust"
    assert {item.kind for item in verdict.evidence} == {"named", "fence"}


@pytest.mark.parametrize(("path", "language"), [("src/a.ts", "typescript"), ("src/a.js", "javascript")])
def test_npm_counts_for_the_language_whose_files_were_touched(path: str, language: str) -> None:
    verdict = classify(
        [
            user("Run the tests now"),
            *calls("read", {"filePath": path}, "x"),
            *calls("bash", {"command": "npm test"}, "Tests:       3 passed, 3 total"),
        ]
    )
    assert verdict.language == language


def test_a_patch_counts_the_files_it_changes() -> None:
    patch = "*** Begin Patch\n*** Update File: lib/stack.rb\n@@\n*** End Patch"
    assert classify([user("Apply it"), *calls("apply_patch", {"patchText": patch}, "ok")]).language == "ruby"


def test_reading_a_lot_of_one_language_does_not_outweigh_editing_another() -> None:
    messages: list[Message] = [user("Port it to Swift")]
    for number in range(10):
        messages += calls("read", {"filePath": f"m{number}.py"}, "x")
    for number in range(6):
        messages += calls("edit", {"filePath": f"M{number}.swift"}, "ok")
    assert classify(messages).language == "swift"


def test_a_compilers_words_inside_a_file_that_was_read_are_no_evidence() -> None:
    log = "error[E0277]: the trait bound\ntest result: FAILED. 1 passed"
    read = calls("read", {"filePath": "build.log"}, log, call_id="call_r")
    assert classify([user("Summarise the log"), *read, says("It failed.")]).evidence == []


def test_broken_arguments_are_no_evidence_and_no_error() -> None:
    broken = calls("edit", {}, "x")
    call = broken[0].tool_calls[0]
    function = type(call.function)(name="edit", arguments='{"filePath": "a.rs')
    message = Message(role="assistant", tool_calls=[type(call)(id="c", function=function)])
    assert classify([user("x"), message]).language == "none"
