"""What promptfoo lets a suite be spread over and written as is read, and what is code is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.jobs.checks import CARRIED, KINDS, Expectation
from lora_tui.verify import code_checks
from lora_tui.verify.suites import checking as suite_checking
from lora_tui.verify.suites.reading import Reader
from lora_tui.verify.suites.suite import Case, read_suite
from lora_tui.workspace.errors import BadInput

# Of promptfoo 0.123.1, `BaseAssertionTypes` and `SpecialAssertionTypes`.
NAMES = """
answer-relevance bleu classifier contains contains-all contains-any contains-html contains-json contains-sql
contains-xml context-faithfulness context-recall context-relevance conversation-relevance cost equals factuality
finish-reason g-eval gleu guardrails icontains icontains-all icontains-any is-html is-json is-refusal is-sql
is-valid-function-call is-valid-openai-function-call is-valid-openai-tools-call is-xml javascript latency
levenshtein llm-rubric pi meteor model-graded-closedqa model-graded-factuality moderation perplexity
perplexity-score python regex rouge-n ruby similar similar:cosine similar:dot similar:euclidean starts-with
tool-call-f1 skill-used trajectory:goal-success trajectory:tool-args-match trajectory:step-count
trajectory:tool-sequence trajectory:tool-used trace-error-spans trace-span-count trace-span-duration search-rubric
agent-rubric webhook word-count select-best human max-score
"""


def cases(folder: Path, text: str, **files: str) -> tuple[Case, ...]:
    """The cases of a suite with files beside it; `__` in a name is a folder, the last `_` the dot."""
    for name, content in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    path = folder / "suite.yaml"
    path.write_text(text)
    return read_suite(path).cases


def kinds(case: Case) -> list[str]:
    return [item.type for item in case.expectations]


@pytest.mark.parametrize("name", NAMES.split())
def test_every_name_of_promptfoo_is_known_and_none_that_is_not_checked_passes(name: str) -> None:
    assert name in KINDS or name in CARRIED
    if name in CARRIED:
        assert CARRIED[name]


def test_tests_stand_in_a_table_with_their_expectations_in_columns(tmp_path: Path) -> None:
    table = (
        "city,note,__expected,__expected2,__expected3,__description,__threshold,__metadata:tags[],__prefix\n"
        'Oslo,"one, two",icontains:norway,"contains-any:fjord,""a, b""",not-regex:x$,where,0.5,"north,\\, cold",Hi \n'
        "Rome,,Italy,similar(0.6):Latium,,,,,\n"
    )
    first, second = cases(tmp_path, "prompts: ['{{city}} {{note}}']\ntests: file://places.csv\n", places_csv=table)
    assert (first.prompt, first.description, first.threshold) == ("Hi Oslo one, two", "where", 0.5)
    assert first.tags == ("north", ", cold")
    assert [(item.type, item.value) for item in first.expectations] == [
        ("icontains", "norway"),
        ("contains-any", ["fjord", "a, b"]),
        ("not-regex", "x$"),
    ]
    assert [(item.type, item.value, item.threshold) for item in second.expectations] == [
        ("equals", "Italy", None),
        ("similar", "Latium", 0.6),
    ]


def test_a_mistake_in_another_file_is_told_with_that_file_and_line(tmp_path: Path) -> None:
    head = "prompts: ['{{q}}']\ntests:\n  - file://more.{}\n"
    for kind, content, line in (
        ("csv", 'q,__expected\n"a\nb",contains:a\nc,regex:(\n', 4),
        ("jsonl", '{"vars": {"q": "a"}}\n\n{"vars": {"q": "a"}, "asert": []}\n', 3),
        ("json", '[{"vars": {"q": "a"}},\n {"vars": {"q": "a"},\n "threshold": "x"}]\n', 2),
        ("yaml", "- vars: {q: a}\n- vars: {q: b}\n  assert: [{type: contians, value: a}]\n", 3),
    ):
        (tmp_path / f"more.{kind}").write_text(content)
        (tmp_path / "suite.yaml").write_text(head.format(kind))
        with pytest.raises(BadInput) as caught:
            read_suite(tmp_path / "suite.yaml")
        where = caught.value.where
        assert (Path(where.rpartition(":")[0]).name, int(where.rpartition(":")[2])) == (f"more.{kind}", line), kind


def test_tests_defaults_and_vars_stand_in_files_beside_the_suite(tmp_path: Path) -> None:
    found = cases(
        tmp_path,
        "prompts: file://ask.txt\ndefaultTest: file://common__default.yaml\ntests:\n".replace("__", "/")
        + "  - file://sets/*.yaml\n  - vars: {q: 'file://notes/*.txt', who: you}\n  - vars: file://vars.yaml\n",
        ask_txt="{{who}}: {{q}} {{user.name}}\n---\nAgain: {{q}}\n",
        common__default_yaml="vars: {user: {name: Ann}, who: me}\n"
        "assert: [{type: icontains, value: '{{user.name}}'}]\n",
        sets__a_yaml="---\n- vars: {q: first}\n",
        sets__b_yaml="- vars: {q: second}\n  assert: [{type: equals, value: b}]\n",
        notes__x_txt="ex\n",
        notes__y_txt="why\n",
        vars_yaml="q: third\n",
    )
    assert [case.prompt for case in found[::2]] == [
        "me: first Ann",
        "me: second Ann",
        "you: ex Ann",
        "you: why Ann",
        "me: third Ann",
    ]
    assert [item.value for item in found[2].expectations] == ["Ann", "b"]


def test_scenarios_ask_every_test_with_every_set_of_data(tmp_path: Path) -> None:
    found = cases(
        tmp_path,
        "prompts: ['{{word}} in {{language}}']\n"
        "scenarios:\n"
        "  - config:\n"
        "      - vars: {language: German, tree: Baum}\n"
        "        assert: [{type: not-contains, value: sorry}]\n"
        "      - vars: {language: Latin, tree: arbor}\n"
        "    tests:\n"
        "      - vars: {word: tree}\n"
        "        assert: [{type: icontains, value: '{{tree}}'}]\n",
    )
    assert [case.prompt for case in found] == ["tree in German", "tree in Latin"]
    assert [[item.value for item in case.expectations] for case in found] == [["sorry", "Baum"], ["arbor"]]


def test_expectations_are_taken_from_elsewhere_in_the_file_by_reference(tmp_path: Path) -> None:
    text = (
        "prompts: [a]\n"
        "assertionTemplates:\n"
        "  short: {type: word-count, value: {max: 3}, weight: 2}\n"
        "tests:\n"
        "  - assert:\n"
        "      - $ref: '#/assertionTemplates/short'\n"
        "        weight: 5\n"
    )
    ((short,),) = (case.expectations for case in cases(tmp_path, text))
    assert (short.type, short.value, short.weight) == ("word-count", {"max": 3}, 5.0)
    with pytest.raises(BadInput, match="no mapping is at '#/assertionTemplates/long'") as caught:
        cases(tmp_path, text.replace("#/assertionTemplates/short", "#/assertionTemplates/long"))
    assert caught.value.where.endswith("suite.yaml:6")


def test_a_set_of_expectations_counts_as_one(tmp_path: Path) -> None:
    ((some, every),) = (
        case.expectations
        for case in cases(
            tmp_path,
            "prompts: [a]\n"
            "assertionTemplates: {a: &a {type: contains, value: a}}\n"
            "tests:\n"
            "  - metadata: {language: python}\n"
            "    assert:\n"
            "      - {type: assert-set, threshold: 0.5, weight: 2, assert: [*a, {type: contains, value: b}]}\n"
            "      - type: assert-set\n"
            "        assert: [{type: x-code-parses}, {type: not-contains, value: '!'}]\n",
        )
    )
    assert [item.passed for item in code_checks.checked((some, every), "a = 1")] == [True, True]
    missed = code_checks.checked((some, every), "c = (")
    assert [item.passed for item in missed] == [False, False]
    assert "contains 'a'" in missed[0].detail
    assert missed[0].weight == 2
    judged = Expectation("assert-set", (Expectation("contains", "a"), Expectation("llm-rubric", "kind")))
    assert code_checks.checked((judged,), "a")[0].not_run == "no judge has read it"


def test_a_test_names_the_prompts_it_is_for(tmp_path: Path) -> None:
    text = (
        "prompts:\n  - {id: file://one.txt, label: one}\n  - {raw: 'Two: {{q}}', label: two}\n"
        "tests:\n  - vars: {q: x}\n    prompts: [two]\n  - vars: {q: y}\n"
    )
    found = cases(tmp_path, text, one_txt="One: {{q}}\n")
    assert [case.prompt for case in found] == ["Two: x", "One: y", "Two: y"]
    with pytest.raises(BadInput, match="no prompt is called tow"):
        cases(tmp_path, text.replace("[two]", "[tow]"))


def test_prompts_may_be_named_by_file_and_a_chat_of_one_message_is_its_text(tmp_path: Path) -> None:
    text = "prompts:\n  asks/chat.json: chat\n  asks/plain.txt: plain\ntests: [{vars: {q: x}}]\n"
    chat = '[{"role": "user", "content": "Say {{q}}"}]'
    found = cases(tmp_path, text, asks__chat_json=chat, asks__plain_txt="Tell {{q}}")
    assert [case.prompt for case in found] == ["Say x", "Tell x"]
    with pytest.raises(BadInput, match="chat of several messages") as caught:
        cases(tmp_path, text, asks__chat_json=chat.replace("[", '[{"role": "system", "content": "Be kind"}, '))
    assert caught.value.where.endswith("suite.yaml:2")


def test_words_and_numbers_are_what_promptfoo_takes_them_for(tmp_path: Path) -> None:
    (case,) = cases(
        tmp_path,
        "prompts: ['{{a}} {{b}} {{c}} {{d}} {{e}} {{f}}']\n"
        "tests:\n  - vars: {a: Yes, b: on, c: 12:30, d: 010, e: 1.0, f: [1, 2]}\n",
    )
    assert case.prompt == "Yes on 12:30 10 1 1,2"


def test_a_test_that_expects_nothing_waits_for_a_person(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, "prompts: [Tell a joke]\nproviders: [echo]\n")
    assert (case.prompt, kinds(case)) == ("Tell a joke", ["human"])
    _, findings = suite_checking.examined(tmp_path / "suite.yaml")
    assert [item.what for item in findings] == ["1 of 1 prompts cannot be judged here: nobody has voted"]


def test_a_pattern_of_javascript_is_read(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, "prompts: [a]\ntests: [{assert: [{type: regex, value: '(?<year>\\d+)-(?<=-)x'}]}]\n")
    assert code_checks.checked(case.expectations, "in 2024-x")[0].passed


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("extensions: [file://hooks.py:go]", "`extensions` is code"),
        ("nunjucksFilters: {up: ./up.js}", "`nunjucksFilters` is code"),
        ("defaultTest: {options: {transform: output.trim()}}", "`transform` is code"),
        ("defaultTest: {options: {storeOutputAs: x}}", "`storeOutputAs` is code"),
        ("defaultTest: {assert: [{type: equals, value: a, transform: output.b}]}", "`transform` is code"),
        ("defaultTest: {assertScoringFunction: file://score.js}", "code of a suite is not executed"),
        ("defaultTest: {vars: {x: file://make.py}}", "of files only texts and data are read"),
        ("defaultTest: {vars: {x: file://none/*.txt}}", "no file fits"),
        ("defaultTest: {assert: [{type: asert-set}]}", "did you mean assert-set"),
        ("tests: file://make.py:tests", "code is not executed"),
        ("tests: huggingface://datasets/x", "code is not executed"),
        ("prompts: file://ask.py", "of files only texts and data are read"),
        ("prompts: [b]", "'prompts' stands here twice"),
    ],
)
def test_what_is_code_or_unknown_is_refused_where_it_stands(tmp_path: Path, line: str, what: str) -> None:
    beside = "" if line.startswith(("tests", "prompts: f")) else "tests: [{assert: [{type: contains, value: b}]}]\n"
    prompts = "" if line.startswith("prompts: f") else "prompts: [a]\n"
    (tmp_path / "suite.yaml").write_text(f"{prompts}{beside}{line}\n")
    _, problems = Reader(tmp_path / "suite.yaml").read()
    assert what in problems[0].what
    told = problems[0].where.rpartition(":")[2]
    assert int(told) == (2 if "vars: {x" in line else len(f"{prompts}{beside}".splitlines()) + 1)


def test_code_that_is_only_carried_is_not_read_from_its_file(tmp_path: Path) -> None:
    (case,) = cases(
        tmp_path, "prompts: [a]\ntests: [{assert: [{type: javascript, value: 'file://a.cjs:f', transform: x}]}]\n"
    )
    assert code_checks.checked(case.expectations, "a")[0].not_run == "code of a suite is not executed"
