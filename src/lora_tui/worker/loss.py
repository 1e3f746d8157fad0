"""Cross entropy that computes logits only where there is a label, a few at a time, with their gradient at once."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional

from lora_tui.worker.mask import IGNORED

_PIECE_BYTES = 128 << 20  # of logits in memory at a time; smaller starves the matrix product, most of all in bf16
_WIDE_VALUES = 1 << 18  # of logits in fp32 at a time: a megabyte, which a core's cache holds
_CHANGED_LOGITS = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "output_multiplier",
    "lm_head_multiplier",
    "output_router_logits",
    "logits_soft_cap",
    "output_logit_soft_cap",
    "logits_mup_width_multiplier",
    "unpadded_vocab_size",
)


def can_skip_masked(model: Any) -> bool:
    """Whether `label_only_loss` equals the model's own loss: a plain backbone and head, and no LoRA on the head.

    What PEFT puts around a head that is trained (LoRA, modules_to_save, trainable tokens) is no plain `Linear`.
    """
    config = model.config.get_text_config()
    head = getattr(model, "lm_head", None)
    return (
        type(head) is torch.nn.Linear
        and hasattr(model, "model")
        and getattr(model, "loss_type", None) in (None, "ForCausalLM")
        and not any(getattr(config, key, None) for key in _CHANGED_LOGITS)
    )


def label_only_loss(model: Any, inputs: dict[str, torch.Tensor], items: torch.Tensor | int | None) -> torch.Tensor:
    """Mean cross entropy in nats over `items` labels (this batch's when None).

    Positions without a label add nothing to the loss, so they need not pass through `lm_head`, which is most of the
    work of a small model. Hidden states are (rows, length, hidden); what goes through the head is (labels, hidden).

    Rows are padded on their right, where a causal model does not look: no padding mask is given, and attention keeps
    its fast path. `position_ids`, where there are any, keep the documents of a packed row apart.
    """
    given = {key: inputs[key] for key in ("input_ids", "position_ids") if key in inputs}
    hidden = model.model(**given, use_cache=False).last_hidden_state[:, :-1]
    labels = inputs["labels"][:, 1:]
    wanted = labels != IGNORED
    head = model.lm_head
    weight, bias = (_whole(head.weight), None if head.bias is None else _whole(head.bias))
    if weight.requires_grad or (bias is not None and bias.requires_grad):
        logits = functional.linear(hidden[wanted], weight, bias).float()
        total = functional.cross_entropy(logits, labels[wanted], reduction="sum")
    else:
        total = _FrozenHead.apply(hidden[wanted], weight, bias, labels[wanted])
    count = wanted.sum() if items is None else torch.as_tensor(items, device=total.device)
    return total / count.clamp(min=1)


def add_label_only_loss(model: Any) -> None:
    """Let `model(label_only=True, items=…, **batch)` be `label_only_loss`.

    A loss goes through the model's own call so that what is wrapped around it (DDP, FSDP2, PEFT) sees every forward
    pass: gradients of several processes are averaged only then. Called without `label_only` it is what it was.
    """
    before = model.forward

    @functools.wraps(type(model).forward)  # `generate` looks at the names of the arguments
    def forward(*given: Any, label_only: bool = False, **named: Any) -> Any:
        if not label_only:
            return before(*given, **named)
        return label_only_loss(model, named, named["items"])

    model.forward = forward


def _whole(weight: Any) -> Any:
    """A weight that FSDP2 keeps in pieces, put together."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


class _FrozenHead(torch.autograd.Function):
    """Summed cross entropy of (labels, hidden) through a head that is not trained.

    The gradient of the hidden states is known as soon as the logits are: softmax minus one-hot, through the head. So
    it is made in the forward pass, in the logits' own memory, and no logits are kept, widened whole or made twice.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: Any, labels: torch.Tensor) -> torch.Tensor:
        ctx.wants = hidden.requires_grad
        gradient = torch.empty_like(hidden) if ctx.wants else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        rows = max(1, _PIECE_BYTES // (hidden.element_size() * weight.shape[0]))
        pieces = -(-len(labels) // rows)
        rows = -(-len(labels) // max(1, pieces))  # of even size
        for at in range(0, len(labels), max(1, rows)):
            part = slice(at, at + rows)
            logits = functional.linear(hidden[part], weight, bias)
            total += _to_gradient(logits, labels[part, None])
            if gradient is not None:
                torch.mm(logits, weight, out=gradient[part])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0] if ctx.wants else None, None, None, None


def _to_gradient(logits: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
    """Summed cross entropy in nats of (labels, vocabulary), which become softmax minus one-hot; `aims` is (labels, 1).

    In fp32, a few rows at a time, with one exponential for both.
    """
    total = torch.zeros((), dtype=torch.float32, device=logits.device)
    rows = max(1, _WIDE_VALUES // logits.shape[1])
    for at in range(0, len(logits), rows):
        part = slice(at, at + rows)
        wide, aim = logits[part].float(), aims[part]  # the logits themselves, where they are in fp32
        chosen = wide.gather(1, aim)
        top = wide.amax(dim=-1, keepdim=True)
        whole = wide.sub_(top).exp_().sum(dim=-1, keepdim=True)
        total += (whole.log() + top - chosen).sum()
        wide.div_(whole).scatter_add_(1, aim, wide.new_full(aim.shape, -1.0))
        if wide.dtype != logits.dtype:
            logits[part] = wide
    return total
