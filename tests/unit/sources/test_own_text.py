"""Telling the user's words from a program's loses no byte of either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.sources.own_text import Marks

MARKS = Marks(("stdin", "note"))
_BITS = st.sampled_from(["<stdin>", "</stdin>", "<note>", "</note>", "<note a='1'>", "words", " ", "\n", "<b>", "é"])


@given(st.lists(_BITS).map("".join))
def test_the_pieces_are_the_text(text: str) -> None:
    pieces = MARKS.pieces(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece.strip() for piece, _ in pieces) or len(pieces) == 1


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("hello", ["hello"]),
        ("<stdin>x</stdin>", []),
        ("fix it\n\n<stdin>\nx\n</stdin>", ["fix it\n\n"]),
        ("<note>a</note>\n<note>b</note>\nwhy?", ["\nwhy?"]),
        ("a <stdin> that never ends", ["a <stdin> that never ends"]),
        ("<b>bold</b>", ["<b>bold</b>"]),
        ("one <note>x</note> two", ["one ", " two"]),
    ],
)
def test_what_the_user_typed(text: str, own: list[str]) -> None:
    assert [piece for piece, typed in MARKS.pieces(text) if typed] == own
