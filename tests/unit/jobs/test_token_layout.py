"""A row token by token, as it reads where there is no colour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lora_tui.jobs.token_layout import TONES, flowing, tabled
from lora_tui.jobs.token_view import Head, Part, Piece, Said, View, line, reply
from lora_tui.jobs.visible_text import visible, visible_line, wrapped

PIECES = (
    Piece("<|im_start|>", (1,), 0, "<|im_start|>"),
    Piece("user", (2,)),
    Piece("\n", (3,)),
    Piece("Why", (4,)),
    Piece(" 👩", (5, 6, 7)),
    Piece("<|im_end|>", (8,), 0, "<|im_end|>"),
    Piece("\n", (3,)),
    Piece("<|im_start|>", (1,), 0, "<|im_start|>"),
    Piece("assistant", (9,)),
    Piece("\n", (3,)),
    Piece("fn f() {\n", (10,), 1),
    Piece("\t42\n", (11,), 1),
    Piece("}", (12,), 1),
    Piece("<|im_end|>", (8,), 1, "<|im_end|>"),
    Piece("\n", (3,), 1),
)
HEADS = (Head(0, 0), Head(7, 1))


def view(pieces: Sequence[Piece] = PIECES, heads: Sequence[Head] = HEADS, **changes: Any) -> View:
    tokens, learned = sum(len(piece.ids) for piece in pieces), sum(piece.loss for piece in pieces)
    part = Part(1, tokens, learned, pieces, heads)  # type: ignore[arg-type]  # any sequence will do
    made = View(1, "3f2a", "train", 3, 64, tokens, learned, (Said("user"), Said("assistant")), (part,))
    return msgspec.structs.replace(made, **changes)


def texts(lines: Any) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_what_is_learned_is_told_without_colour() -> None:
    assert texts(flowing(view(), 60)) == [
        "train:3  17 tokens, 5 learned (29%), max_length 64",
        "3f2a",
        "▌ and ⟦ ⟧ learned · ‹ › special token · ↵ end of line",
        "── 1 user  9 tokens ──",
        "  ‹im_start›user↵",
        "  Why 👩‹im_end›↵",
        "── 2 assistant  8 tokens, 5 learned ──",
        "  ‹im_start›assistant↵",
        "▌ ⟦fn f() {↵",
        "▌ ⇥   42↵",
        "▌ }‹im_end›↵⟧",
    ]


def test_a_message_that_is_kept_out_of_the_loss_says_so() -> None:
    silent = [msgspec.structs.replace(piece, loss=0) for piece in PIECES]
    told = texts(flowing(view(silent, messages=(Said("user"), Said("assistant", 0))), 60))
    assert "── 2 assistant  8 tokens, weight 0: not learned ──" in told
    assert not any("⟦" in text or "▌" in text for text in told[3:])


def test_every_token_has_a_line_of_its_own_in_the_table() -> None:
    told = texts(tabled(view(), 60))
    assert told[3] == "  token        id text"
    assert told[5:13] == [
        "      1         1 ‹im_start›",
        "      2         2 user",
        "      3         3 ↵",
        "      4         4 Why",
        "      5         5 ␣👩",
        "      6         6 〃 2 of 3 for this",
        "      7         7 〃 3 of 3 for this",
        "      8         8 ‹im_end›",
    ]
    assert told[-2:] == ["     16 ▌       8 ‹im_end›", "     17 ▌       3 ↵"]


def test_a_cut_is_told_where_it_is() -> None:
    first = Part(1, 17, 5, PIECES, HEADS)
    second = msgspec.structs.replace(first, number=2, at="user turn")
    third = Part(3, 9_000, 0, (), (), "edit", "too_long")
    told = texts(flowing(view(parts=(first, second, third), tokens=9_034, loss_tokens=10), 60))
    assert told[0] == "train:3  9,034 tokens in 3 parts, 10 learned (29%),"
    assert told.index("── part 1 of 3 ──") < told.index("── cut here: part 2 of 3, at a user turn ──")
    assert told[-2:] == [
        "── cut here: part 3 of 3, at an edit ──",
        "9,000 tokens, not trained on: longer than max_length",
    ]
    again = told[told.index("── cut here: part 2 of 3, at a user turn ──") :]
    assert "── 1 user  9 tokens, again ──" in again


def test_a_row_that_is_too_long_shows_where_the_limit_is() -> None:
    (part,) = view().parts
    long = view(parts=(msgspec.structs.replace(part, left_out="too_long"),), left_out="too_long", max_length=9)
    told = texts(flowing(long, 60))
    assert "not trained on: longer than max_length" in told
    at = told.index("── max_length 9 ends here ──")
    assert told[at - 1] == "── 2 assistant  8 tokens, 5 learned ──"
    assert "── max_length 9 ends here ──" in texts(tabled(long, 60))


def test_a_row_that_the_template_refuses_says_why_in_its_words() -> None:
    told = texts(
        flowing(view(parts=(), tokens=0, loss_tokens=0, left_out="not_rendered", about="roles must\x1b[2J"), 80)
    )
    assert "not trained on: the model's template cannot write it: roles must␛[2J" in told
    assert told[-1] == "── 2 assistant ──"


def test_text_that_no_token_stands_for_and_tokens_without_text_are_seen() -> None:
    told = texts(flowing(view([Piece("", (1,), 0, "<s>"), Piece("ok", (2,)), Piece("☃", ())], ()), 60))
    assert told[-1] == "  ‹s›ok‹no token›☃"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[31m", "a␛[31m"),
        ("\r\0\x7f", "␍␀␡"),
        ("\u202eabc", "‹U+202E›abc"),
        ("\u0301x", "◌\u0301x"),
        ("e\u0301", "e\u0301"),
        ("👩\u200d👧", "👩‹ZWJ›👧"),
        ("❤\ufe0f", "❤‹U+FE0F›"),
        ("日本\x9b2J", "日本‹U+009B›2J"),
    ],
)
def test_nothing_in_a_text_is_hidden_or_obeyed(text: str, seen: str) -> None:
    assert visible(text) == seen


WORDS = st.text(alphabet="ab <>\n\té幅👍e\u0301\x1b\x07\u200b", max_size=30)
TOKENS = st.builds(
    lambda text, learned, name: Piece(text or name, (7,), int(learned), name if not text else ""),
    WORDS,
    st.booleans(),
    st.sampled_from(["<s>", "[INST]", "<|im_end|>"]),
)


@given(st.lists(TOKENS, max_size=30), st.integers(24, 100))
def test_marks_enclose_what_is_learned_at_every_width_and_nothing_is_lost(pieces: list[Piece], width: int) -> None:
    lines = [line for line in flowing(view(pieces, ()), width) if line[0] in (("▌ ", "trained"), ("  ", ""))]
    assert all(cell_len(text) <= width for text in texts(lines))
    assert all(tone in TONES for line in lines for _, tone in line)
    inside, learned, all_of_it = False, "", ""
    for text in texts(lines):
        gutter, said = text[:2], text[2:]
        marked = inside or "⟦" in said
        assert (gutter == "▌ ") == marked
        for letter in said:
            if letter in "⟦⟧":
                assert inside == (letter == "⟧")
                inside = letter == "⟦"
                continue
            all_of_it += letter
            learned += letter if inside else ""
    assert not inside
    assert all_of_it == "".join(_seen(piece) for piece in pieces)
    assert learned == "".join(_seen(piece) for piece in pieces if piece.loss)


@given(st.lists(TOKENS, max_size=10), st.integers(24, 60))
def test_the_table_fits_every_width(pieces: list[Piece], width: int) -> None:
    for text in texts(tabled(view(pieces, ()), width)):
        assert cell_len(text) <= width
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)


class Counted(Sequence[Piece]):
    """Counts how many pieces were looked at."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self.seen = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, index: Any) -> Any:
        found = self._pieces[index]
        self.seen += len(found) if isinstance(index, slice) else 1
        return found


@pytest.mark.parametrize("layout", [flowing, tabled])
def test_of_forty_thousand_tokens_only_those_on_the_screen_are_laid_out(layout: Any) -> None:
    plain = view([Piece(" word", (number,), number % 2) for number in range(40_000)], ())
    heads = tuple(Head(number * 100, number) for number in range(400))
    pieces = Counted(plain.parts[0].pieces)
    part = Part(1, 40_000, 20_000, pieces, heads)  # type: ignore[arg-type]
    long = msgspec.structs.replace(plain, parts=(part,), messages=tuple(Said("user") for _ in heads), max_length=50_000)
    assert len(list(islice(layout(long, 80), 30))) == 30
    assert pieces.seen < 2_000


def test_a_view_survives_the_pipe() -> None:
    assert reply(line(view())) == view()


def _seen(piece: Piece) -> str:
    if piece.name:
        return f"‹{piece.name.strip('<>|[]')}›"
    return visible_line(piece.text)


@given(st.text(alphabet="ab 幅", max_size=60), st.integers(4, 30))
def test_sentences_are_wrapped_without_losing_a_word(text: str, width: int) -> None:
    lines = list(wrapped(text, width))
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
