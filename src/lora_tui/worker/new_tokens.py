"""New tokens: the tokenizer grows, the base's embeddings too, and of the embeddings only theirs are trained."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

NewTokens = dict[int, list[int]]  # for each new id, the ids its text had before
TOKENIZER = "tokenizer.json"  # beside an adapter that was trained with new tokens


def add_tokens(tokenizer: Any, new: Sequence[str]) -> NewTokens:
    """Add `new` to the tokenizer; for each new id, the ids its text had before. What it has already is left alone."""
    fresh = [token for token in dict.fromkeys(new) if token not in tokenizer.get_vocab()]
    pieces = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in fresh]
    tokenizer.add_tokens(fresh)
    return {int(tokenizer.convert_tokens_to_ids(token)): ids for token, ids in zip(fresh, pieces, strict=True)}


def make_room(model: Any, tokenizer: Any, pieces: NewTokens) -> None:
    """Give the base embeddings for every id of the tokenizer; a new one begins as the mean of its former pieces.

    Many bases have more rows than tokens (padded vocabularies): then nothing grows.
    """
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for weight in {id(layer.weight): layer.weight for layer in layers if layer is not None}.values():
            if weight.is_meta:
                continue
            for place, ids in pieces.items():
                weight[place] = weight[ids].float().mean(dim=0).to(weight.dtype)


def trainable_indices(new: Collection[int], *, tied: bool) -> dict[str, list[int]] | None:
    """What PEFT is told to train of the embeddings; of the head too where it has weights of its own."""
    if not new:
        return None
    ids = sorted(new)
    return {"embed_tokens": ids} if tied else {"embed_tokens": ids, "lm_head": ids}


def make_room_for_adapter(model: Any, adapter: str) -> None:
    """Before an adapter with a tokenizer of its own is put on a base: embeddings for the tokens it brings."""
    if not (Path(adapter) / TOKENIZER).is_file():
        return
    from transformers import AutoTokenizer

    make_room(model, AutoTokenizer.from_pretrained(adapter, local_files_only=True), {})
