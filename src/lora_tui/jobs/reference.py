"""What a model says, to the token: asked of `python -m lora_tui.worker reference ASKED SAID`, both files of JSON.

An export is compared with it: the same tokens of the same texts, the same greedy answers.
"""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base (folder), an adapter on it or "", texts to cut into tokens, prompts to answer."""

    base: str
    adapter: str
    texts: tuple[str, ...]
    prompts: tuple[str, ...]
    new_tokens: int
    dtype: str  # what it computes in: "float32", "bfloat16"


class Written(msgspec.Struct, frozen=True):
    """A greedy answer; the token that ends it is not among its tokens.

    logprobs: of each token and of the one that ended it, in nats. margins: by how much each led the next best, in nats.
    """

    prompt: str  # the conversation as the chat template writes it
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    logprobs: tuple[float, ...]
    margins: tuple[float, ...]


class Said(msgspec.Struct, frozen=True):
    """Tokens of each text and the answer to each prompt; `error` where it could not be done."""

    texts: tuple[tuple[int, ...], ...] = ()
    answers: tuple[Written, ...] = ()
    stops: tuple[int, ...] = ()  # tokens that end an answer
    error: str = ""
    fix: str = ""
