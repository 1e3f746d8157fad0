"""Back to curation: what a failing prompt says about the examples, and what it proposes to label."""

from __future__ import annotations

import json

import pytest

import adapter_shelf
import lessons_told
from judged_reports import judged
from lora_tui.cli.main import run
from lora_tui.curation import examples, labels, queues
from lora_tui.dataset import versions
from lora_tui.dataset.contamination import Prompts
from lora_tui.verify.lessons import Basis, Failing, Lesson, failing_of, lessons_of, teach
from lora_tui.verify.lessons.terms import terms
from lora_tui.verify.reports import files as report_files
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from written_reports import written

RACK = Failing(lessons_told.RACK, "ruby", ("contains 'SecureRandom.uuid'", "not-contains 'puts'"), 2)


def typed(workspace: Workspace, *arguments: str) -> int:
    return run(["--workspace", str(workspace.root), "reports", "lessons", *arguments])


def told(lesson: Lesson) -> dict[str, tuple[int, int, int]]:
    return {item.term: (item.known, item.accepted, item.unlabelled) for item in lesson.missing}


def test_a_lesson_says_which_terms_no_example_mentions_and_who_does(workspace: Workspace) -> None:
    lessons_told.fill(workspace)
    lessons_told.train(workspace)
    rack, spawn = lessons_of(workspace, lessons_told.report(workspace))
    assert (rack.number, rack.language, rack.learned_from, rack.examples) == (2, "ruby", "ruby@1", 24)
    assert told(rack)["Rack middleware"] == (0, 0, 1)  # the test itself does not count
    assert told(rack)["SecureRandom.uuid"] == (0, 0, 1)
    assert not {"Rack", "RequestId"} & set(told(rack))  # the phrase says it; the other name is the prompt's own
    assert "0 of the 24 Ruby examples of ruby@1 mention Rack middleware; 1 unlabelled one does" in rack.lacks()
    assert spawn.lacks() == ["there is no Rust example of ruby@1"]


def test_candidates_are_undecided_of_the_language_and_never_the_test_itself(workspace: Workspace) -> None:
    found = lessons_told.fill(workspace)
    lessons_told.train(workspace)
    rack, spawn = lessons_of(workspace, lessons_told.report(workspace))
    assert {item.example for item in rack.candidates} == {found["rack"], found["uuid"]}
    by_example = {item.example: item for item in rack.candidates}
    assert "Rack middleware" in by_example[found["rack"]].mentions
    assert by_example[found["uuid"]].reason == "for prompt 2 of ruby: mentions SecureRandom.uuid"
    assert [item.example for item in spawn.candidates] == [found["spawn"]]
    (alike,) = rack.too_alike
    assert alike.example == found["the test"]
    assert "RequestId" in alike.how


def test_a_suite_outside_the_workspace_is_kept_out_of_the_candidates_too(workspace: Workspace) -> None:
    found = lessons_told.fill(workspace)
    prompt = "Say how a Rack middleware of the order list renames the column that has gone away since the last import"
    lessons_told._store(workspace, "own", prompt, "class Own # Rack middleware\nend", "rb")
    examples.refresh(workspace)
    assert Prompts.of(workspace).texts
    (lesson,) = teach(workspace, "elsewhere", [Failing(prompt, "ruby", (), 1)], Basis())
    assert {item.suite for item in lesson.too_alike} >= {"elsewhere"}
    assert max(found.values()) + 1 not in {item.example for item in lesson.candidates}


def test_the_nearest_training_examples_come_first_with_what_they_share(workspace: Workspace) -> None:
    found = lessons_told.fill(workspace)
    lessons_told.train(workspace)
    failing = [Failing(lessons_told.HASHES, "ruby", ("contains 'group_by'",), 1)]
    (lesson,) = teach(workspace, "ruby", failing, Basis())
    assert lesson.near[0].request.startswith("Use group_by over a Hash")
    assert {"group_by", "Hash"} <= set(lesson.near[0].shared)
    assert lesson.near[0].share > lesson.near[-1].share or len(lesson.near) == 3
    assert lesson.near[0].example in found.values()
    assert told(lesson) == {}  # others have group_by and Hash; invert_counts is the prompt's own, "inverts" no topic


def test_what_was_accepted_since_the_version_is_told_to_be_built(workspace: Workspace) -> None:
    found = lessons_told.fill(workspace)
    lessons_told.train(workspace)
    labels.decide(workspace, [found["rack"]], "accept", author="someone")
    rack = lessons_of(workspace, lessons_told.report(workspace), prompt=2)[0]
    assert told(rack)["Rack middleware"] == (0, 1, 0)
    assert any("1 accepted now: build the dataset again" in text for text in rack.lacks())


def test_without_a_dataset_version_all_accepted_examples_are_looked_at_and_it_is_said(workspace: Workspace) -> None:
    lessons_told.fill(workspace)
    report = lessons_told.report(workspace, tuned="openai:http://127.0.0.1:9/v1#somebodys")
    rack = lessons_of(workspace, report)[0]
    assert (rack.learned_from, rack.examples) == ("", 24)
    assert "is no adapter of this workspace: compared with all accepted examples" in rack.note
    assert "0 of the 24 accepted Ruby examples mention Rack middleware; 1 unlabelled one does" in rack.lacks()


def test_only_judged_failures_teach_and_what_must_not_be_written_is_not_missed(workspace: Workspace) -> None:
    assert [(item.number, item.expectations_missed) for item in failing_of(lessons_told.report(workspace))] == [
        (2, ("contains 'SecureRandom.uuid'",)),
        (3, ("contains 'tokio::spawn'",)),
    ]
    lessons_told.fill(workspace)
    (lesson,) = teach(workspace, "ruby", [RACK], Basis())
    assert "puts" not in told(lesson)


def test_what_a_prompt_is_about_is_told_by_code_names_and_phrases_not_by_everyday_words() -> None:
    found = {term.text: term for term in terms(RACK.prompt, RACK.expectations_missed, "ruby")}
    assert {"SecureRandom.uuid", "Rack", "Rack middleware", "response header"} <= set(found)
    assert not {"Write", "a", "Ruby", "class"} & set(found)
    assert (found["RequestId"].own, found["Rack"].own) == (True, False)
    assert found["SecureRandom.uuid"].words == ("securerandom", "uuid")
    said = "tools: contains 'tokio::select!', not-contains 'unwrap', contains-any ['mpsc', \"it's\"] by 0.5"
    assert [term.text for term in terms("", (said,))] == ["tokio::select!", "mpsc"]
    assert terms("", ("from-another-release 'mpsc'", "contains", "")) == ()
    assert [term.text for term in terms("", (r"regex '\\bJoinHandle\\s*<'", "x-code-tests (rust)", "is-json"))] == [
        "JoinHandle"
    ]


def test_lessons_as_typed_name_what_is_missing_and_queue_what_to_label(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lessons_told.fill(workspace)
    lessons_told.train(workspace)
    identity = lessons_told.report(workspace).id
    before = examples.counts(workspace)
    assert typed(workspace, identity, "--queue", "--by", "ana") == 0
    said = capsys.readouterr().out
    assert "✗ 0 of the 24 Ruby examples of ruby@1 mention Rack middleware" in said
    assert f"! example {found['the test']} is not proposed, it would be training on the test" in said
    assert examples.counts(workspace) == before  # nothing was decided
    queue = queues.open(workspace, f"lessons-{identity}", "ana")
    asked = {item.example_id: item.reason for item in queues.items(workspace, queue)}
    assert set(asked) == {found["rack"], found["uuid"], found["spawn"]}
    assert asked[found["spawn"]].startswith("for prompt 3 of ruby: mentions tokio::spawn")
    assert run(["--workspace", str(workspace.root), "queue", queue.name, "--by", "ana"]) == 0
    assert "for prompt 2 of ruby: mentions SecureRandom.uuid" in capsys.readouterr().out
    assert typed(workspace, "latest", "--queue", "--by", "ana") == 2  # the name is taken
    assert "lora-tui queue remove" in capsys.readouterr().err


def test_lessons_in_json_and_of_one_prompt(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    lessons_told.fill(workspace)
    lessons_told.train(workspace)
    identity = lessons_told.report(workspace).id
    assert typed(workspace, "latest", "--prompt", "2", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    (lesson,) = data["lessons"]
    assert (data["report"], data["queue"], lesson["number"]) == (identity, None, 2)
    assert lesson["missing"][0].keys() == {"term", "known", "accepted", "unlabelled"}
    assert any("Rack middleware" in text for text in lesson["lacks"])
    for number, why in ((1, "passed prompt 1 every time"), (4, "not known"), (9, "there is no prompt 9")):
        assert typed(workspace, "latest", "--prompt", str(number)) == 2
        assert why in capsys.readouterr().err


def test_nothing_to_propose_is_said_and_makes_no_queue(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    report = lessons_told.report(workspace)
    lessons = lessons_of(workspace, report)
    assert [lesson.lacks() for lesson in lessons] == [
        ["there is no accepted Ruby example"],
        ["there is no accepted Rust example"],
    ]
    from lora_tui.verify.lessons import queue

    with pytest.raises(BadInput, match="no undecided example"):
        queue(workspace, report, lessons, "ana")
    assert typed(workspace, "latest", "--queue") == 0  # what is missing is told all the same
    said = capsys.readouterr().out
    assert "there is no accepted Ruby example" in said
    assert "no unlabelled example mentions what is missing" in said
    assert queues.listed(workspace) == []


def test_where_the_examples_lack_nothing_no_more_of_others_is_asked_for(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    lessons_told.fill(workspace)
    report = judged([[True]], [[False]], prompts=["Use `group_by` over a Hash."])
    report_files.write(report, workspace.reports / report.id)
    assert typed(workspace, "latest") == 0
    said = capsys.readouterr().out
    assert "the examples mention all that it is about" in said
    assert "nothing is missing from what it learned from" in said
    assert "take in more" not in said


def test_lessons_stop_when_nobody_waits_for_them_any_more(workspace: Workspace) -> None:
    lessons_told.fill(workspace)
    assert teach(workspace, "ruby", [RACK], Basis(), cancelled=lambda: True) == []


def test_a_version_that_went_on_from_another_is_held_against_what_both_were_trained_on(workspace: Workspace) -> None:
    found = lessons_told.fill(workspace)
    lessons_told.train(workspace)
    labels.decide(workspace, [found["rack"]], "accept", author="someone")
    newer = versions.build(workspace, "newer", Data(languages=("ruby",)), shares=(100, 0, 0))
    about = {"dataset": newer.label, "dataset_hash": newer.manifest.hash, "parents": ("ruby@1.0.0",)}
    adapter_shelf.add(workspace, "ruby", "1.1.0", seed=1, **about)
    rack = lessons_of(workspace, lessons_told.report(workspace, tuned="adapter:ruby@1.1.0"))[0]
    assert (rack.learned_from, rack.examples) == ("newer@1, ruby@1", 25)  # a row of both counts once
    assert "Rack middleware" not in told(rack) or told(rack)["Rack middleware"][0] == 1


def test_a_dataset_that_is_gone_is_said_and_accepted_examples_stand_for_it(workspace: Workspace) -> None:
    lessons_told.fill(workspace)
    lessons_told.train(workspace)
    report = lessons_told.report(workspace)
    (workspace.datasets / "ruby" / "1" / "manifest.toml").unlink()
    rack = lessons_of(workspace, report)[0]
    assert rack.learned_from == ""
    assert rack.note == "the dataset ruby@1 of ruby@1.0.0 is gone; compared with all accepted examples"


def test_where_nothing_was_judged_nothing_is_said_to_have_passed(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    written(workspace, {side: [["!no answer"], ["!no answer"]] for side in ("baseline", "tuned")})
    assert typed(workspace, "latest") == 0
    assert "is not known: no answer of the fine-tune was judged" in capsys.readouterr().out
    written(workspace, {"baseline": [["a"], ["b"]], "tuned": [["c"], ["!no answer"]]})
    assert typed(workspace, "latest") == 0
    assert "passed every prompt that was judged: 1 of 2" in capsys.readouterr().out
