"""Language evidence: the table proves itself, and a verdict explains itself."""

from __future__ import annotations

import re

import pytest

from lora_tui.curation.classify import Classifier
from lora_tui.curation.language_rules import rules
from lora_tui.curation.verdict import Verdict
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


PATCH = "*** Begin Patch\n*** Update File: lib/stack.rb\n@@\n-a\n+b\n*** End Patch"
BLOCK = "lib/stack.rb\n```\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```"
RUBY = (
    "class Stack\n  attr_reader :items\n\n  def push(item)\n    @items.each do |one|\n"
    + "      puts one\n    end\n  end\nend\n"
)


@pytest.mark.parametrize(
    "messages",
    [
        calls("Edit", {"file_path": "lib/stack.rb", "old_string": "a", "new_string": "b"}, "ok"),
        calls("MultiEdit", {"file_path": "lib/stack.rb", "edits": [{"old_string": "a", "new_string": "b"}]}, "ok"),
        calls("edit", {"path": "lib/stack.rb", "oldString": "a", "newString": "b"}, "ok"),
        calls("shell", {"command": ["bash", "-lc", f"apply_patch <<'EOF'\n{PATCH}\nEOF"]}, "ok"),
        calls("apply_patch", {"input": PATCH}, "ok"),
        calls("exec_command", {"cmd": "cat > lib/stack.rb <<'EOF'\nb\nEOF"}, "ok"),
        [says(BLOCK)],
        [says("Replaced.", diffs=("lib/stack.rb",))],
        [says("```diff\n--- a/lib/stack.rb\n+++ b/lib/stack.rb\n@@ -1 +1 @@\n-a\n+b\n```")],
    ],
    ids=["claude", "claude multi", "opencode 2", "codex shell", "codex", "codex exec", "aider", "aider note", "diff"],
)
def test_an_edit_counts_whichever_agent_made_it(messages: list[Message]) -> None:
    verdict = classify([user("Make it shorter"), *messages])
    assert verdict.language == "ruby"
    assert "1 edit of .rb" in [item.detail for item in verdict.evidence]


def test_a_script_without_an_ending_is_known_by_its_first_line() -> None:
    read = calls("Read", {"file_path": "bin/deploy"}, "     1→#!/usr/bin/env ruby\n     2→puts 1", call_id="call_r")
    verdict = classify([user("Make it shorter"), *read, *calls("Edit", {"file_path": "bin/deploy"}, "ok")])
    assert (verdict.language, verdict.sure) == ("ruby", True)
    written = calls("write", {"filePath": "bin/run", "content": "#!/bin/sh\nset -e\n"}, "ok")
    assert classify([user("Write it"), *written]).language == "shell"


def test_work_on_two_languages_is_not_sure_because_one_has_no_ending() -> None:
    edits = [*calls("edit", {"filePath": "a.go"}, "ok"), *calls("edit", {"filePath": "bin/thing"}, "ok")]
    read = calls("read", {"filePath": "b.go"}, "x")
    assert not classify([user("Keep both in step"), *read, *edits]).sure


def test_editing_the_documents_of_a_project_is_not_surely_its_language() -> None:
    seen = [*calls("read", {"filePath": "a.rb"}, "x"), *calls("bash", {"command": "bundle exec rspec"}, "")]
    verdict = classify([user("Update the README"), *seen, *seen, *calls("edit", {"filePath": "README.md"}, "ok")])
    assert (verdict.language, verdict.sure) == ("ruby", False)


def test_code_in_an_answer_counts_by_its_looks_also_without_a_tag() -> None:
    verdict = classify([user("Write a stack in Ruby"), says(f"```\n{RUBY * 3}```")])
    assert (verdict.language, verdict.sure, verdict.opinion) == ("ruby", True, "ruby")
    assert "the written code looks like ruby" in [item.detail for item in verdict.evidence]


def test_a_few_commands_in_a_shell_block_are_no_shell_script() -> None:
    answer = says("Run it:\n```bash\nif [ -f a ]; then\n  echo a\nfi\nexport X=1\n```")
    assert classify([user("How do I run it?"), answer]).evidence == []


def test_a_language_that_only_code_mentions_is_not_named() -> None:
    assert classify([user("Fix it:\n```\n// ported from Python\n```"), says("Fixed.")]).evidence == []


def test_the_opinion_says_where_written_code_and_file_name_disagree() -> None:
    edit = calls("write", {"filePath": "app.py", "content": RUBY}, "ok")
    verdict = classify([user("Make it shorter"), *edit, *calls("read", {"filePath": "b.py"}, "x")])
    assert (verdict.language, verdict.opinion) == ("python", "ruby")


def test_typescript_without_a_type_is_no_disagreement() -> None:
    code = "const a = require('a');\nfunction push(b) {\n  a.push(b);\n  console.log(b);\n}\nmodule.exports = push;\n"
    verdict = classify([user("Write it"), *calls("write", {"filePath": "a.ts", "content": code}, "ok")])
    assert (verdict.language, verdict.opinion) == ("typescript", "typescript")


def test_a_search_for_files_of_a_language_counts_as_seen() -> None:
    (item,) = classify([user("Find it"), *calls("Bash", {"command": 'grep -rn --include="*.go" x pkg'}, "")]).evidence
    assert (item.language, item.kind, item.detail) == ("go", "read", "1 path seen: .go")
