"""Whether a base keeps the rows of a pack apart: what its layers are, and what it does when tried."""

from __future__ import annotations

from typing import Any

import torch

from lora_tui.workspace.errors import BadInput

_SEPARABLE = {"full_attention", "sliding_attention", "chunked_attention"}
_LEAK = (
    1e-4  # of the largest logit; the same shapes and the same tokens give the same numbers, a leak gives 0.1 and more
)


def check_packable(config: Any, base: str) -> None:
    """Raises BadInput for a base with layers that carry a state along the row: they cannot tell its documents apart."""
    text = config.get_text_config()
    odd = sorted({str(kind) for kind in getattr(text, "layer_types", None) or ()} - _SEPARABLE)
    if odd:
        raise BadInput(
            f"training.packing: {text.model_type} has layers ({', '.join(odd)}) that carry what they read in one row "
            "of a pack into the next",
            where=base,
            fix="Set training.packing = false; rows of similar length are batched together instead.",
        )


def check_apart(model: Any, base: str, device: str) -> None:
    """Try whether a document of a pack sees the one before it. Raises BadInput when it does.

    Two packs that differ in their first document alone must give their second one the same logits; which attention
    implementation keeps documents apart by `position_ids` is nothing a configuration says.
    """
    vocabulary = model.config.get_text_config().vocab_size
    random = torch.Generator().manual_seed(0)
    first, other, second = (torch.randint(0, vocabulary, (1, size), generator=random) for size in (20, 20, 30))
    places = torch.cat([torch.arange(20), torch.arange(30)])[None].to(device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            seen = [
                model(
                    input_ids=torch.cat([before, second], dim=1).to(device), position_ids=places, use_cache=False
                ).logits[:, 20:]
                for before in (first, other)
            ]
    except ValueError as error:  # transformers' own refusal
        raise BadInput(f"training.packing: {error}", where=base, fix="Set training.packing = false.") from error
    finally:
        model.train(was_training)
    if float((seen[0] - seen[1]).abs().max()) > _LEAK * float(seen[0].abs().max()):
        raise BadInput(
            "training.packing: this base lets a document of a pack see the one before it",
            where=base,
            fix="Set training.packing = false; rows of similar length are batched together instead.",
        )
