"""Ids and labels of byte-level tokenizers made the short way are those of `tokenizers` itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers")

from lora_tui.worker.mask import labels  # noqa: E402
from lora_tui.worker.token_edges import token_edges  # noqa: E402
from lora_tui.worker.words import words_of  # noqa: E402

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
TEXT = "fn main() {\n    let it's = 12345;\r\n\treturn naïve → 'll;\n}\n\n\n" * 3
PIECES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|im_start",
    "fn",
    " main",
    "\n\n",
    "  ",
    "\t",
    "'LL",
    "it's",
    "1234",
    "é",
    "→",
    "{}",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)


def made(pattern: str, *, normalizer: Any = None, **added: bool) -> Any:
    """A byte-level BPE of a few hundred entries."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizer or normalizers.NFC()
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet))
    backend.add_special_tokens([AddedToken(word, **added) for word in ("<|im_start|>", "<|im_end|>")])
    return backend


BACKENDS = {"qwen": made(QWEN), "llama": made(LLAMA)}


@pytest.mark.parametrize("kind", BACKENDS)
@given(text=TEXTS, cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_ids_and_labels_are_those_of_tokenizers(kind: str, text: str, cuts: tuple[float, float]) -> None:
    backend = BACKENDS[kind]
    edges = token_edges(backend)
    assert edges is not None
    whole = backend.encode(text, add_special_tokens=False)
    (ids,) = edges.encode([text])
    assert ids == whole.ids
    start, end = sorted(int(cut * len(text)) for cut in cuts)
    spans = [(start, end)] if start < end else []
    assert edges.labels(text, ids, spans) in (None, labels(whole.ids, whole.offsets, spans))


def test_code_is_cut_into_words_here_and_other_texts_are_left_to_tokenizers() -> None:
    words = words_of(BACKENDS["qwen"])
    assert words is not None
    assert words.encode("<|im_start|>fn main() {}\n<|im_end|>") is not None
    assert words.encode("naïve") is None
    edges = token_edges(BACKENDS["qwen"])
    assert edges is not None
    decomposed = "nai\u0308ve"
    (ids,) = edges.encode([decomposed])
    assert edges.labels(decomposed, ids, [(0, 2)]) is None  # normalised to another text


def test_a_tokenizer_that_works_otherwise_is_left_alone() -> None:
    from tokenizers import normalizers, pre_tokenizers

    assert words_of(made(QWEN, lstrip=True)) is None
    assert words_of(made(QWEN.replace(r"\p{N}", r"\p{Han}"))) is None
    assert token_edges(made(QWEN, normalizer=normalizers.Lowercase())) is None
    metaspace = made(QWEN)
    metaspace.pre_tokenizer = pre_tokenizers.Metaspace()
    assert token_edges(metaspace) is None
