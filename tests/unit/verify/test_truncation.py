"""Whether a prompt was cut, from the number of tokens that a server tells."""

from __future__ import annotations

import pytest

from lora_tui.verify.endpoints.truncation import Watch

CODE = 'fn main() { println!("{}", (0..10).map(|x| x * x).sum::<i32>()); }\n' * 40


def test_fewer_tokens_than_words_is_a_cut_and_as_many_is_none() -> None:
    watch = Watch()
    words = "alpha beta gamma delta " * 100
    assert watch.why(words, 400) == ""
    assert "at least 360" in watch.why(words, 256)
    assert watch.why("Say yes.", 1) == ""


@pytest.mark.parametrize("characters_a_token", [1, 3, 6])
@pytest.mark.parametrize(
    "prompt", [CODE, "数" * 3000, "=" * 5000, " " * 5000 + "x", "a" * 4000, "0123456789abcdef" * 200, "\n" * 900]
)
def test_what_real_tokenizers_tell_of_odd_texts_is_no_cut(prompt: str, characters_a_token: int) -> None:
    told = max(1, len(prompt) // (characters_a_token if len(set(prompt)) > 3 else 128))
    assert Watch().why(prompt, told) == ""


def test_text_without_spaces_is_told_by_its_characters() -> None:
    prompt = "0123456789abcdefghijklmnopqrstuv" * 500
    assert "at least" in Watch().why(prompt, 256)


def test_a_number_that_stays_the_same_at_the_top_is_a_cut() -> None:
    watch = Watch()
    assert watch.why("x" * 1000, 512) == ""
    assert watch.why("x" * 1800, 512) == ""
    assert "512 tokens of 3 prompts of 1000 to 2600 characters" in watch.why("x" * 2600, 512)
    higher = Watch()
    assert higher.why("y" * 4000, 513) == ""
    assert [higher.why("x" * length, 512) for length in (1000, 1800, 2600)] == ["", "", ""]


def test_the_same_number_again_for_the_same_prompts_or_for_short_ones_is_none() -> None:
    watch = Watch()
    assert [watch.why(prompt, 300) for prompt in ("a b " * 70, "c d " * 70, "e f " * 70) * 5] == [""] * 15
    short = Watch()
    assert [short.why("x" * length, 12) for length in (10, 20, 30, 40)] == [""] * 4


def test_its_own_tokenizer_decides_where_it_tells() -> None:
    watch = Watch()
    assert watch.why("Say yes.", 12, exact=13) == ""
    assert "12 tokens of a prompt that its own tokenizer makes 40 of" in watch.why("Say no.", 12, exact=40)
    assert watch.why("Say no.", 0, exact=40) == ""


def test_where_cached_tokens_are_left_out_a_small_number_is_none() -> None:
    assert Watch(whole_counts=False).why("alpha beta " * 400, 1) == ""
