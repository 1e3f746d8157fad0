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
_PIECE_BYTES = 16 << 20  # of the head in fp32 at a time


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

    Each layer has wide weights while it is at work and its own again after it: there is never more than one layer in
    fp32, where a second base might not fit, and the weights stay where they were, often in the pages of their file.
    """
    body = model.model
    parts = [*body.layers, *([body.norm] if hasattr(body, "norm") else [])]
    held: dict[torch.nn.Module, list[torch.Tensor]] = {}

    def widen(layer: torch.nn.Module, _given: Any) -> None:
        held[layer] = [weight.data for weight in layer.parameters()]
        for weight in layer.parameters():
            weight.data = weight.data.float()

    def put_back(layer: torch.nn.Module, _given: Any, _made: Any) -> None:
        for weight, data in zip(layer.parameters(), held.pop(layer), strict=True):
            weight.data = data

    hooks = [part.register_forward_pre_hook(widen) for part in parts]
    hooks += [part.register_forward_hook(put_back, always_call=True) for part in parts]
    try:
        with torch.no_grad():
            embedded = model.get_input_embeddings()(batch["input_ids"]).float()
            hidden = body(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, :-1]
    finally:
        for hook in hooks:
            hook.remove()
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    return float(_cross_entropy(hidden[wanted], model.lm_head, labels[wanted]))


def _cross_entropy(hidden: torch.Tensor, head: torch.nn.Linear, labels: torch.Tensor) -> torch.Tensor:
    """Mean loss of (labels, hidden) through a head that is widened a few entries at a time: whole, it may not fit."""
    entries, width = head.weight.shape
    reached = torch.full((len(labels),), -torch.inf)
    right = torch.empty(len(labels))
    for begin in range(0, entries, step := max(1, _PIECE_BYTES // (4 * width))):
        part = slice(begin, begin + step)
        logits = functional.linear(
            hidden, head.weight[part].float(), None if head.bias is None else head.bias[part].float()
        )
        reached = torch.logaddexp(reached, logits.logsumexp(dim=-1))
        here = (labels >= begin) & (labels < begin + logits.shape[1])
        right[here] = logits[here, labels[here] - begin]
    return (reached - right).mean()


def _first(rows: Any) -> dict[str, torch.Tensor]:
    """The first row, from shortly before its first label on."""
    ids, labels = (torch.tensor(rows[0][key]) for key in ("input_ids", "labels"))
    begin = max(0, int((labels != IGNORED).int().argmax()) - _TOKENS // 2)
    part = slice(begin, begin + _TOKENS)
    return {"input_ids": ids[None, part], "labels": labels[None, part]}
