"""RMSNorm with a weight that is not trained (Zhang and Sennrich 2019, eq. 4): x / rms(x), in fp32, times the weight."""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from lora_tui.worker.fused.pieces import does_the_same, pieces


def is_known(module: torch.nn.Module) -> bool:
    """Whether it is Llama's RMSNorm by any name, in the width it works in."""
    return does_the_same(type(module), LlamaRMSNorm) and not module.weight.requires_grad


def forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    """As the layer's own; (..., width)."""
    if hidden_states.dtype != self.weight.dtype or self.weight.requires_grad:
        return type(self).forward(self, hidden_states)
    return _Norm.apply(hidden_states, self.weight, self.variance_epsilon)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        width = given.shape[-1]
        flat = given.reshape(-1, width)
        made = torch.empty_like(flat)
        scale = torch.empty(len(flat), 1)
        for part in pieces(len(flat), width):
            wide = flat[part].float() if flat.dtype != torch.float32 else flat[part].clone()
            length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
            torch.rsqrt(length.square_().div_(width).add_(eps), out=scale[part])
            made[part] = wide.mul_(scale[part])
            made[part].mul_(weight)
        ctx.save_for_backward(flat, weight, scale)
        return made.view_as(given)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        flat, weight, scale = ctx.saved_tensors
        width = flat.shape[-1]
        given = grads[0].reshape(-1, width)
        made = torch.empty_like(flat)
        wide_weight = weight.float()
        for part in pieces(len(flat), width):
            grad = given[part] * wide_weight if given.dtype == torch.float32 else given[part].float().mul_(wide_weight)
            wide = flat[part].float() if flat.dtype != torch.float32 else flat[part].clone()
            along = (grad * wide).sum(-1, keepdim=True)
            wide.mul_(along.mul_(scale[part] ** 3).div_(-width))
            made[part] = grad.mul_(scale[part]).add_(wide)
        return made.view_as(grads[0]), None, None
