"""How far train speaks of what a suite asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lora_tui.dataset.coverage import coverage, request_of
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Function, ToolCall


def row(identity: str, request: str, answer: str = "Done.", weight: int = 1) -> Row:
    return Row(identity, [RowMessage("user", request), RowMessage("assistant", answer, weight=weight)])


ROWS = [
    row(
        "sum", "Write a Rust function for the sum of a slice", "fn total(values: &[i32]) -> i32 { values.iter().sum() }"
    ),
    row("file", "Read a file in Rust", "fn read() { std::fs::read_to_string(path) }"),
    row("words", "Count the words of a Rust string", "text.split_whitespace().count()"),
    *(row(f"other{number}", f"Rename the module {number} in Rust") for number in range(20)),
]


def test_the_prompt_that_train_speaks_least_of_comes_first_with_its_nearest_rows() -> None:
    found = coverage(
        ROWS, [("s", "Give me the sum of a slice in Rust"), ("s", "Parse a TCP packet"), ("s", "Count words")]
    )
    assert found[0].prompt == "Parse a TCP packet"
    by_prompt = {item.prompt: item for item in found}
    assert by_prompt["Give me the sum of a slice in Rust"].nearest[0].id == "sum"
    assert by_prompt["Count words"].nearest[0].id == "words"
    assert by_prompt["Count words"].share == 1.0
    assert by_prompt["Parse a TCP packet"].unknown == ("packet", "parse", "tcp")
    assert by_prompt["Parse a TCP packet"].share < 0.2


def test_a_rare_word_counts_more_than_one_that_stands_everywhere() -> None:
    (item,) = coverage(ROWS, [("s", "rust slice")])
    assert item.nearest[0].id == "sum"
    (without,) = coverage([found for found in ROWS if found.id != "sum"], [("s", "rust slice")])
    assert 0 < without.share < 0.2


def test_what_is_only_shown_or_not_learned_does_not_count_but_the_arguments_of_a_call_do() -> None:
    call = ToolCall(id="c", function=Function(name="edit", arguments='{"newString": "regex"}'))
    shown = Row("shown", [RowMessage("user", "Go"), RowMessage("tool", "semaphore"), RowMessage("assistant", "Ok")])
    unlearned = row("unlearned", "Go", "semaphore", weight=0)
    called = Row("called", [RowMessage("user", "Go"), RowMessage("assistant", tool_calls=[call])])
    found = {item.prompt: item for item in coverage([shown, unlearned, called], [("s", "semaphore"), ("s", "regex")])}
    assert found["semaphore"].share == 0
    assert found["regex"].nearest[0].id == "called"


def test_without_rows_or_words_nothing_is_covered() -> None:
    (none,) = coverage([], [("s", "sum")])
    assert (none.share, none.nearest) == (0.0, ())
    (empty,) = coverage(ROWS, [("s", "!!")])
    assert (empty.share, empty.nearest) == (0.0, ())


def test_the_request_is_the_one_that_is_answered() -> None:
    messages = [
        RowMessage("user", "Earlier"),
        RowMessage("assistant", "Yes", weight=0),
        RowMessage("user", "Now\n this"),
        RowMessage("assistant", "Done"),
        RowMessage("user", "Thanks"),
    ]
    assert request_of(Row("r", messages)) == "Now this"


@given(st.lists(st.text(max_size=60), max_size=8), st.text(max_size=60))
def test_any_text_can_be_asked_and_what_a_row_says_itself_is_covered(texts: list[str], prompt: str) -> None:
    rows = [row(str(number), text, "") for number, text in enumerate([*texts, prompt])]
    (item,) = coverage(rows, [("s", prompt)])
    assert 0 <= item.share <= 1
    if item.nearest:
        assert item.share == 1
