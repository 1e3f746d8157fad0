"""Near-duplicate rows are found by what they ask, answer or write, and the same boilerplate alone makes no twins."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.curation.near_duplicates import Groups, jaccard, shingles
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.dataset.twins import alike, pairs
from lora_tui.dataset.written import pieces
from lora_tui.sources.model import Function, ToolCall

WORDS = [
    f"{verb}_{noun}" for verb in ("read", "sum", "sort", "drop") for noun in ("line", "row", "page", "user", "name")
]


def code(seed: int, lines: int = 12) -> str:
    r = random.Random(seed)
    return "".join(
        f"{r.choice(WORDS)} = {r.choice(WORDS)}({r.choice(WORDS)}, {r.randrange(90)})\n" for _ in range(lines)
    )


def row(name: str, request: str, answer: str, **more: object) -> Row:
    return Row(id=name, messages=[RowMessage("user", request), RowMessage("assistant", answer, **more)])  # type: ignore[arg-type]


def fenced(text: str) -> str:
    return f"```python\n{text}```"


def calling(name: str, *calls: tuple[str, dict[str, object]]) -> Row:
    made = [ToolCall(f"c{at}", Function(tool, json.dumps(given))) for at, (tool, given) in enumerate(calls)]
    return Row(id=name, messages=[RowMessage("user", f"Change {name}"), RowMessage("assistant", tool_calls=made)])


def found(rows: Sequence[Row]) -> set[tuple[int, int]]:
    return {(one, other) for one, other, _ in pairs(rows, rows.__getitem__)}


def test_the_same_code_is_found_whatever_is_said_around_it() -> None:
    rows = [
        row("a", "Write the first one", "Certainly, here is what I think of it:\n" + fenced(code(1))),
        row("b", "Something else entirely", fenced(code(2))),
        row("c", "And a third", fenced(code(1) + "print(done)\n") + "\nIt prints at the end, as you wanted it to."),
    ]
    assert found(rows) == {(0, 2)}
    assert alike(rows[0], rows[2]) >= 0.7 > alike(rows[0], rows[1])


def test_a_file_written_by_a_tool_is_compared_with_the_same_file_in_an_answer() -> None:
    rows = [
        calling(
            "a",
            ("write", {"filePath": "a.py", "content": code(1)}),
            ("write", {"filePath": "b.py", "content": code(9)}),
        ),
        row("b", "Write it", fenced(code(1))),
        calling("c", ("edit", {"path": "x/b.py", "oldString": "pass\n", "newString": code(9)})),
        calling(
            "d",
            (
                "apply_patch",
                {
                    "patchText": "*** Begin Patch\n*** Add File: q.py\n"
                    + "".join(f"+{line}\n" for line in code(9).splitlines())
                    + "*** End Patch"
                },
            ),
        ),
    ]
    assert found(rows) == {(0, 1), (0, 2), (0, 3), (2, 3)}


def test_two_small_edits_of_one_place_are_alike_through_the_lines_around_them() -> None:
    lines = code(1, 30).splitlines(keepends=True)

    def edit(name: str, at: int, new: str) -> Row:
        block = f"a.py\n```python\n<<<<<<< SEARCH\n{lines[at]}=======\n{new}>>>>>>> REPLACE\n```"
        return row(name, f"Change {name}\n\n`a.py`\n```python\n{''.join(lines)}```", block)

    rows = [
        edit("a", 10, lines[10].replace("(", "(1, ")),
        edit("b", 10, lines[10].replace("(", "(2, ")),
        edit("c", 25, "other = 1\n"),
    ]
    assert found(rows) == {(0, 1)}


def test_what_an_edit_repeats_of_a_file_is_no_part_of_what_it_writes() -> None:
    whole, function = code(1, 30), code(7, 14)
    last = whole.splitlines(keepends=True)[-1]
    block = f"a.py\n```python\n<<<<<<< SEARCH\n{last}=======\n{last}{function}>>>>>>> REPLACE\n```"
    rows = [
        row("a", f"Add it\n\n`a.py`\n```python\n{whole}```", block),
        calling("b", ("edit", {"path": "a.py", "oldString": whole, "newString": whole + function})),
        calling("c", ("edit", {"path": "a.py", "oldString": whole, "newString": whole + code(8, 14)})),
    ]
    assert found(rows) == {(0, 1)}


def test_edits_of_different_places_of_a_file_that_both_requests_show_are_no_twins() -> None:
    whole = code(1, 60)
    shown = f"\n\n`a.py`\n```python\n{whole}```"
    assert found([row("a", "First" + shown, fenced(code(2))), row("b", "Then" + shown, fenced(code(3)))]) == set()


def test_long_requests_that_are_the_same_are_twins_but_a_formula_of_many_rows_is_not() -> None:
    asked = (
        "Look at the report of last night, find out which of the three jobs was slow, say why, and propose what to do."
    )
    assert found([row("a", asked, "It was the first."), row("b", asked, "I would rather wait.")]) == {(0, 1)}
    many = [row(f"r{at}", f"{asked} Number {at}.", f"Done {at}") for at in range(30)]
    assert found(many) == set()
    written = [row(f"r{at}", f"Do {at}", fenced(code(5) + f"n = {at}\n")) for at in range(30)]
    joined = Groups()
    for one, other in found(written):
        joined.join(one, other)
    assert {joined.of(place) for place in range(30)} == {0}, "the same code counts however often it is written"


def test_short_pieces_and_what_is_not_trained_on_make_no_twins() -> None:
    assert found([row("a", "Fix it", "Done, all tests pass."), row("b", "Fix it", "Done, all tests pass.")]) == set()
    assert found([row("a", "One", fenced(code(1)), weight=0), row("b", "Other", fenced(code(1)))]) == set()


def test_hostile_rows_do_no_harm() -> None:
    odd = [
        '{"content": 3}',
        "[1, 2]",
        '{"edits": [1, {"new_string": null}], "filePath": 7}',
        "{",
        '{"patchText": "*** Begin"}',
    ]
    rows = [
        Row(id=f"o{at}", messages=[RowMessage("assistant", tool_calls=[ToolCall("c", Function("edit", given))])])
        for at, given in enumerate(odd)
    ]
    rows += [Row(id="empty", messages=[]), row("fence", "```", "```\n" * 9), row("x" * 9, "\0" * 90, "\ud800" * 90)]
    assert found(rows) == set()
    assert pairs([], rows.__getitem__) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=2, max_size=12))
def test_it_finds_what_comparing_everything_with_everything_finds(told: list[tuple[int, int]]) -> None:
    texts = [
        "".join(code(base).splitlines(keepends=True)[changed:]) + code(100 + at, changed)
        for at, (base, changed) in enumerate(told)
    ]
    rows = [row(f"r{at}", f"Ask {at}", fenced(text)) for at, text in enumerate(texts)]
    marks = [shingles(text) for text in texts]
    everything = {
        (one, other) for one, other in combinations(range(len(rows)), 2) if jaccard(marks[one], marks[other]) >= 0.7
    }
    answers = [shingles(fenced(text)) for text in texts]
    everything |= {
        (one, other) for one, other in combinations(range(len(rows)), 2) if jaccard(answers[one], answers[other]) >= 0.7
    }
    assert found(rows) == everything


def test_two_processes_find_the_same_pairs() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_twins import code, fenced, row\n"
        "from lora_tui.dataset.twins import pairs\n"
        "rows = [row(str(at), 'Ask', fenced(code(at % 3) + code(at, 2))) for at in range(60)]\n"
        "print(pairs(rows, rows.__getitem__))\n"
    )
    folder = __file__.rpartition("/")[0]
    outs = {
        subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, check=True, env={"PYTHONHASHSEED": str(seed)}
        ).stdout
        for seed in (1, 2)
    }
    assert len(outs) == 1
    assert b"(0, 3, " in outs.pop()


def test_the_pieces_of_a_diff_are_the_files_as_they_are_afterwards() -> None:
    one = "--- a/one.py\n+++ b/one.py\n@@ -1,2 +1,2 @@\n keep\n-old\n+new\n"
    two = "--- a/two.py\n+++ b/two.py\n@@ -1 +1 @@\n+two\n"
    found_pieces = pieces(row("a", "Do", f"```diff\n{one}{two}```"))
    assert [piece.text for piece in found_pieces if piece.kind == "code"] == ["keep\nnew", "two"]


def test_a_method_added_beside_one_that_begins_the_same_is_taken_as_git_shows_it(tmp_path: Path) -> None:
    def method(name: str) -> str:
        return f"  # Adds up.\n  def {name}(all)\n    n = 0\n    n += all.size\n    n * 2\n  end\n\n"

    head, rest = "class A\n  def first\n    1\n  end\n\n", "  def last\n    3\n  end\nend\n"
    before = head + method("old") + rest
    for after in (
        head + method("new") + method("old") + rest,
        head + method("old") + method("new") + rest,
        head + rest,
    ):
        (tmp_path / "a.rb").write_text(before)
        (tmp_path / "b.rb").write_text(after)
        told = subprocess.run(
            ["git", "diff", "--no-index", "-U3", "a.rb", "b.rb"], cwd=tmp_path, capture_output=True, text=True
        ).stdout
        shown = [line[1:] for line in told.splitlines()[5:] if line[0] in " +"]
        edited = calling("x", ("edit", {"filePath": "a.rb", "oldString": before, "newString": after}))
        assert next(piece.text for piece in pieces(edited) if piece.kind == "code").splitlines() == shown
