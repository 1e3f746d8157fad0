"""Tokens of different kinds of tokenizers as the text they stand for."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lora_tui.jobs.token_view import Piece
from lora_tui.worker.look_pieces import pieces

pytestmark = pytest.mark.engine


def looked_at(core: Tokenizer, text: str, **names: str) -> list[Piece]:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **names)
    encoding = core.encode(text, add_special_tokens=False)
    return pieces(tokenizer, text, encoding.ids, encoding.offsets, encoding.ids)


@pytest.mark.parametrize("trim", [True, False])
def test_spaces_belong_to_their_token_also_where_offsets_leave_them_out(trim: bool) -> None:
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(models.BPE(vocab={**alphabet, "Ġa": 256}, merges=[("Ġ", "a")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=trim)
    found = looked_at(core, "b a  é🎉\n ")
    assert [(piece.text, len(piece.ids)) for piece in found] == [
        ("b", 1),
        (" a", 1),
        (" ", 1),
        (" ", 1),
        ("é", 2),
        ("🎉", 4),
        ("\n", 1),
        (" ", 1),
    ]
    assert all(piece.loss == len(piece.ids) for piece in found)


def test_text_without_a_token_and_unknown_words_are_named() -> None:
    core = Tokenizer(models.WordLevel({"<unk>": 0, "yes": 1}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = looked_at(core, "yes ☃ yes\n", unk_token="<unk>")
    assert [(piece.text, piece.ids, piece.name) for piece in found] == [
        ("yes", (1,), ""),
        (" ", (), ""),
        ("☃", (0,), "<unk>"),
        (" ", (), ""),
        ("yes", (1,), ""),
        ("\n", (), ""),
    ]


def test_bytes_of_a_character_that_the_vocabulary_lacks_are_one_piece() -> None:
    vocabulary = {f"<0x{number:02X}>": number for number in range(256)} | {"▁": 256, "a": 257}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    found = looked_at(core, "a 日a")
    assert [(piece.text, len(piece.ids)) for piece in found] == [("a", 1), (" ", 1), ("日", 3), ("a", 1)]
