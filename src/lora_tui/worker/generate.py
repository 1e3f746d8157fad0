"""Answering one chat, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from lora_tui.worker.template import for_template


@dataclass
class Ending:
    """How an answer ended; filled in when its stream is exhausted."""

    prompt_tokens: int = 0
    tokens: int = 0
    stopped: bool = False


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Every token that ends a turn, as generation config and tokenizer name them."""
    found = model.generation_config.eos_token_id
    ids = set(found if isinstance(found, list) else [found]) | {tokenizer.eos_token_id}
    return {int(item) for item in ids if item is not None}


def stream(
    model: Any,
    tokenizer: Any,
    messages: list[dict[str, Any]],
    ending: Ending,
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[str]:
    """Pieces of the answer as they come; greedy at temperature 0, else sampled with `seed`.

    A piece is held back while it may be half of a character.
    """
    text = tokenizer.apply_chat_template(
        [for_template(message) for message in messages], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"].to(model.device)
    ending.prompt_tokens = ids.shape[1]
    ends = stop_ids(model, tokenizer)
    random = torch.Generator(device=model.device).manual_seed(seed)
    cache: Any = None
    written: list[int] = []
    said = ""
    while len(written) < max_tokens:
        with torch.inference_mode():  # per step: a generator must not leave the mode on between its pieces
            output = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        scores = output.logits[0, -1].float()
        if temperature > 0:
            token = int(torch.multinomial(torch.softmax(scores / temperature, -1), 1, generator=random))
        else:
            token = int(scores.argmax())
        if token in ends:
            ending.stopped = True
            break
        written.append(token)
        ending.tokens = len(written)
        so_far = tokenizer.decode(written, skip_special_tokens=True)
        if not so_far.endswith("\ufffd"):
            if len(so_far) > len(said):
                yield so_far[len(said) :]
            said = so_far
        ids = torch.tensor([[token]], device=model.device)
    rest = tokenizer.decode(written, skip_special_tokens=True)
    if len(rest) > len(said):
        yield rest[len(said) :]
