"""Words that differ and what expectations look for, marked in an answer."""

from __future__ import annotations

import random

from lora_tui.tui.screens.verify.answer_lines import answer_lines
from lora_tui.tui.widgets.word_diff import word_diff

OLD = "Here:\n\n```rust\nfn sum(items: &[i32]) -> i32 {\n    items.iter().sum()\n}\n```"
NEW = "Here it is:\n\n```rust\nfn sum(items: &[i64]) -> i64 {\n    items.iter().copied().sum()\n}\n```"


def cut(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def test_the_words_that_another_answer_lacks_are_found_on_both_sides() -> None:
    gone, new = word_diff(OLD, NEW)
    assert cut(OLD, gone) == ["i32", "i32"]
    assert cut(NEW, new) == ["it is", "i64", "i64", "copied()."]
    assert word_diff(OLD, OLD) == ([], [])


def test_answers_with_hardly_a_word_in_common_differ_as_wholes() -> None:
    one, other = "The quick brown fox jumps over a dog", "fn main() { let a = 3; }"
    gone, new = word_diff(one, other)
    assert cut(one, gone) == [one]
    assert cut(other, new) == [other]


def test_what_is_left_of_both_without_their_differences_is_the_same() -> None:
    draw = random.Random(7)
    for _ in range(200):
        words = [draw.choice(["aa", "bb", "cc", "dd", "ee", "ff"]) for _ in range(40)]
        others = [word if draw.random() < 0.8 else draw.choice(["xx", "yy", "aa"]) for word in words]
        one, other = (draw.choice(" \n").join(some) for some in (words, others))
        kept = []
        for text, spans in zip((one, other), word_diff(one, other), strict=True):
            letters = list(text)
            for start, end in spans:
                letters[start:end] = " " * (end - start)
            kept.append("".join(letters).split())
        assert kept[0] == kept[1]


def test_an_answer_is_shown_word_for_word_with_its_marks_in_the_margin() -> None:
    text = "Use it like this, whatever else you may have read about it.\n\n```rust\nfn f() {}\n```"
    start = text.index("whatever")
    lines = list(
        answer_lines(text, 33, changed=[(start, start + 8)], met=[(2, (text.index("fn "), text.index("f()")))])
    )
    told = ["".join(piece for piece, _ in line) for line in lines]
    assert told == [
        "+  Use it like this, whatever",
        "   else you may have read about",
        "   it.",
        "   ",
        "   ```rust",
        " 2 fn f() {}",
        "   ```",
    ]
    assert [tone for piece, tone in lines[0] if piece == "whatever"] == ["changed"]
    assert [tone for piece, tone in lines[5] if piece == "fn"] == ["code-keyword met"]


def test_no_word_is_lost_however_narrow_the_window() -> None:
    for width in (12, 20, 33, 80):
        told = ["".join(piece for piece, _ in line[1:]) for line in answer_lines(NEW, width)]
        assert "".join("".join(told).split()) == "".join(NEW.split())
