"""A frozen linear layer with one LoRA adapter on it (Hu et al. 2021): W x + b + scaling · B A dropout(x).

The adapter's weights stay as wide as they are, fp32 on a bf16 base, and so does what is computed with them; of the
activations only pieces are ever widened, where PEFT makes copies of all.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import nn
from torch.nn import functional

from lora_tui.worker.fused.pieces import is_frozen_linear, is_hooked, pieces


def is_known(module: torch.nn.Module) -> bool:
    """Whether it is PEFT's plain LoRA on a plain linear layer, with nothing on top (DoRA and the like)."""
    return type(module) is Linear and _name(module) is not None


def forward(self: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
    """As PEFT's, with the same draws for dropout; (..., in) to (..., out)."""
    name = None if given or named else _name(self)
    if name is None or x.dtype != self.base_layer.weight.dtype:
        return type(self).forward(self, x, *given, **named)
    dropout = self.lora_dropout[name]
    kept, stretch = None, 1.0
    if isinstance(dropout, nn.Dropout) and dropout.p and self.training:
        stretch = 1 / (1 - dropout.p)
        kept = torch.empty(x.shape, dtype=torch.bool).bernoulli_(1 - dropout.p)
    factors = (self.lora_A[name].weight, self.lora_B[name].weight)
    base = self.base_layer
    return _Adapted.apply(x, base.weight, base.bias, *factors, self.scaling[name], kept, stretch)


def _name(module: Any) -> str | None:
    """The one adapter that is active, None where this is not the plain case."""
    if module.disable_adapters or module.merged or len(module.active_adapters) != 1:
        return None
    (name,) = module.active_adapters
    if name not in module.lora_A or name in module.lora_variant or not is_frozen_linear(module.base_layer):
        return None
    factors = (module.lora_A[name], module.lora_B[name])
    plain = all(
        type(factor) is nn.Linear
        and factor.bias is None
        and factor.weight.dtype == torch.float32
        and factor.weight.device.type == "cpu"
        and not is_hooked(factor)
        for factor in factors
    )
    dropout = module.lora_dropout[name]
    return name if plain and type(dropout) in (nn.Identity, nn.Dropout) and not is_hooked(dropout) else None


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        given: torch.Tensor,
        weight: torch.Tensor,
        bias: Any,
        down: torch.Tensor,
        up: torch.Tensor,
        scaling: float,
        kept: Any,
        stretch: float,
    ) -> torch.Tensor:
        flat = given.reshape(-1, given.shape[-1])
        kept = None if kept is None else kept.view_as(flat)
        made = functional.linear(flat, weight, bias)
        low = torch.empty(len(flat), len(down))
        for part in pieces(len(flat), max(weight.shape)):
            torch.mm(_dropped(flat, part, kept, stretch), down.t(), out=low[part])
            made[part] = torch.addmm(made[part].float(), low[part], up.t(), alpha=scaling)
        ctx.save_for_backward(flat, weight, down, up, low, kept)
        ctx.scaling, ctx.stretch = scaling, stretch
        return made.view(*given.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        flat, weight, down, up, low, kept = ctx.saved_tensors
        given = grads[0].reshape(len(flat), -1)
        made = given @ weight if ctx.needs_input_grad[0] else None
        to_down, to_up = torch.zeros_like(down), torch.zeros(up.shape[1], up.shape[0])
        for part in pieces(len(flat), max(weight.shape)):
            grad = given[part].float()
            to_up.addmm_(low[part].t(), grad, alpha=ctx.scaling)
            inner = (grad @ up).mul_(ctx.scaling)
            to_down.addmm_(inner.t(), _dropped(flat, part, kept, ctx.stretch))
            if made is not None:
                if kept is None:
                    made[part] = torch.addmm(made[part].float(), inner, down)
                else:
                    made[part] = (inner @ down).mul_(kept[part]).mul_(ctx.stretch).add_(made[part])
        back = None if made is None else made.view(*grads[0].shape[:-1], -1)
        return back, None, None, to_down, to_up.t().contiguous(), None, None, None


def _dropped(flat: torch.Tensor, part: slice, kept: Any, stretch: float) -> torch.Tensor:
    """A piece of what the adapter is given, in fp32."""
    wide = flat[part].float()
    return wide if kept is None else (wide * kept[part]).mul_(stretch)
