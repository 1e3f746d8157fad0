"""Whether a base computes the same in bf16 as in fp32, before a run on a CPU relies on it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from lora_tui.jobs import journal
from lora_tui.worker.loss import can_skip_masked, label_only_loss
from lora_tui.worker.mask import IGNORED

_TOKENS = 256  # of a row; the difference is the same for longer ones
_NEAR = 0.01  # of the fp32 loss


def checked(model: Any, rows: Any, log: journal.Journal, *, asked: bool) -> Any:
    """`model`, a base in bf16, or the same in fp32 where its loss on the first row differs; told to the journal.

    `asked`: the profile asks for bf16, so that a difference is warned of and left to the person.
    """
    if not can_skip_masked(model) or not hasattr(model.model, "layers") or not len(rows):
        log.write(journal.Note(message="the base is held in bf16; its loss could not be compared with fp32"))
        return model
    batch = _first(rows)
    with torch.no_grad():
        narrow, wide = float(label_only_loss(model, batch, None)), wide_loss(model, batch)
    told = f"loss of the first row {narrow:.4f} in bf16, {wide:.4f} in fp32"
    if abs(narrow - wide) <= _NEAR * abs(wide):
        log.write(journal.Note(message=f"the base is held in bf16: {told}"))
        return model
    if asked:
        advice = "Set training.bf16 = false to train in fp32; it takes twice the memory."
        log.write(journal.Warned(message=f"bf16 computes something else: {told}", advice=advice, code="bf16"))
        return model
    log.write(journal.Note(message=f"the base is held in fp32, as bf16 computes something else: {told}"))
    return model.float()


def wide_loss(model: Any, batch: dict[str, torch.Tensor]) -> float:
    """The loss of a bf16 base as fp32 computes it, in nats.

    Each layer is widened while it is at work and narrowed again, which changes no weight: so there is never more than
    one layer in fp32, where a second base in fp32 might not fit.
    """
    body, width = model.model, model.lm_head.weight.dtype
    parts = [*body.layers, *([body.norm] if hasattr(body, "norm") else [])]
    hooks = [part.register_forward_pre_hook(lambda layer, _: layer.float() and None) for part in parts]
    hooks += [part.register_forward_hook(lambda layer, _given, _made: layer.to(width) and None) for part in parts]
    try:
        with torch.no_grad():
            embedded = model.get_input_embeddings()(batch["input_ids"]).float()
            hidden = body(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, :-1]
    finally:
        for hook in hooks:
            hook.remove()
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    bias = None if model.lm_head.bias is None else model.lm_head.bias.float()
    logits = functional.linear(hidden[wanted], model.lm_head.weight.float(), bias)
    return float(functional.cross_entropy(logits, labels[wanted]))


def _first(rows: Any) -> dict[str, torch.Tensor]:
    """The first row, from shortly before its first label on."""
    ids, labels = (torch.tensor(rows[0][key]) for key in ("input_ids", "labels"))
    begin = max(0, int((labels != IGNORED).int().argmax()) - _TOKENS // 2)
    part = slice(begin, begin + _TOKENS)
    return {"input_ids": ids[None, part], "labels": labels[None, part]}
