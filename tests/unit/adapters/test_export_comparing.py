"""When an export counts as saying what its source says."""

from __future__ import annotations

import pytest

from lora_tui.adapters.exporting.comparing import Heard, compare
from lora_tui.jobs.reference import Said, Written
from lora_tui.workspace.errors import LoraTuiError


def _said(*tokens: int, margins: tuple[float, ...] = ()) -> Said:
    sure = margins or (9.0,) * (len(tokens) + 1)
    written = Written("p", (1, 2), tokens, " ".join(map(str, tokens)), (-0.1,) * len(tokens), sure)
    return Said(texts=((1, 2), (3,)), answers=(written,), stops=(0,))


TEXTS = [[1, 2], [3]]


def test_the_same_tokens_with_or_without_the_one_that_ends_are_equal() -> None:
    for tokens in ((5, 6), (5, 6, 0), (5, 6, 0, 7)):
        found = compare(_said(5, 6), TEXTS, [Heard(tokens, "5 6", -0.1)], "f16")
        assert found.answers_equal == found.first_tokens_equal == 1
        assert found.words == "equal: tokens of 2 of 2 texts, greedy text of 1 of 1 prompts, first tokens of 1; " + (
            "first tokens differ by at most 0.000 nats"
        )


def test_a_text_cut_otherwise_is_an_error_whatever_the_type() -> None:
    with pytest.raises(LoraTuiError, match="cuts 1 of 2 texts into other tokens"):
        compare(_said(5, 6), [[1, 2], [4]], [Heard((5, 6), "")], "q4_0")


def test_another_token_is_an_error_unless_rounding_may_have_decided() -> None:
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(_said(5, 6), TEXTS, [Heard((5, 7), "")], "f16")
    near = _said(5, 6, margins=(9.0, 0.05, 9.0))
    assert compare(near, TEXTS, [Heard((5, 7), "")], "f16").answers_equal == 1
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(near, TEXTS, [Heard((5, 7), "")], "f32")


def test_an_answer_that_ends_earlier_or_later_is_another() -> None:
    for tokens in ((5,), (5, 6, 7)):
        with pytest.raises(LoraTuiError, match="answers otherwise"):
            compare(_said(5, 6), TEXTS, [Heard(tokens, "")], "f32")


def test_a_quantised_one_may_go_on_otherwise_and_says_how_near_it_began() -> None:
    found = compare(_said(5, 6), TEXTS, [Heard((5, 9), "", -0.35)], "Q4_K_M")
    assert (found.answers_equal, found.first_tokens_equal) == (0, 1)
    assert found.logprob_difference == pytest.approx(0.25)
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(_said(5, 6), TEXTS, [Heard((8, 9), "", -0.35)], "Q4_K_M")


def test_of_an_engine_that_gives_no_tokens_the_text_is_compared() -> None:
    assert compare(_said(5, 6), [], [Heard(text=" 5 6")], "f16").answers_equal == 1
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(_said(5, 6), [], [Heard(text="8 9")], "f16")


def _two(*margins: float) -> Said:
    answers = tuple(Written("p", (1,), (5, 6), "5 6", (-0.1, -0.1), (margin, 9.0, 9.0)) for margin in margins)
    return Said(texts=(), answers=answers, stops=(0,))


@pytest.mark.parametrize(
    ("kind", "moves"), [("q8_0", 0.5), ("Q6_K", 0.7), ("q5_1", 1.0), ("Q4_K_M", 1.5), ("q2_k", 2.5)]
)
def test_a_quantised_one_that_lost_its_adapter_is_seen_though_some_answers_begin_alike(kind: str, moves: float) -> None:
    alike, other = Heard((5, 9), "", -0.1), Heard((8, 9), "", -0.1)
    assert compare(_two(9.0, moves - 0.1), [], [alike, other], kind).first_tokens_equal == 1
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(_two(9.0, moves + 0.1), [], [alike, other], kind)
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        compare(_two(9.0, 9.0), [], [alike, Heard((5, 6), "", -0.2 - moves)], kind)
