"""The gated MLP, SwiGLU (Shazeer 2020): down(silu(gate(x)) * up(x)); whole where none of its layers is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaMLP

from lora_tui.worker.fused.pieces import does_the_same, is_frozen_linear, pieces, scratch

_silu = torch.ops.aten.silu.out
_silu_backward = torch.ops.aten.silu_backward.grad_input


def is_known(module: torch.nn.Module) -> bool:
    """Whether it is Llama's MLP by any name, with SiLU."""
    return does_the_same(type(module), LlamaMLP) and type(module.act_fn) in (nn.SiLU, type(ACT2FN["silu"]))


def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    """As the layer's own, with whatever its three layers are when it is called; (..., hidden)."""
    layers = (self.gate_proj, self.up_proj, self.down_proj)
    if all(is_frozen_linear(layer) and layer.bias is None and layer.weight.dtype == x.dtype for layer in layers):
        return _Frozen.apply(x, *(layer.weight for layer in layers))
    return self.down_proj(_Gated.apply(self.gate_proj(x), self.up_proj(x)))


def _gated(gate: torch.Tensor, up: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up into `made`; all (slots, intermediate)."""
    for part in pieces(*gate.shape):
        _silu(gate[part], out=made[part]).mul_(up[part])
    return made


def _ungated(gate: torch.Tensor, up: torch.Tensor, grad: torch.Tensor, to_up: torch.Tensor) -> None:
    """The gradient of the product, `grad`, becomes that of `gate`; that of `up` goes into `to_up`."""
    for part in pieces(*gate.shape):
        _silu(gate[part], out=to_up[part]).mul_(grad[part])
        grad[part].mul_(up[part])
        _silu_backward(grad[part], gate[part], grad_input=grad[part])


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        made = torch.empty_like(gate)
        _gated(gate.flatten(0, -2), up.flatten(0, -2), made.flatten(0, -2))
        return made

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        gate, up = (value.flatten(0, -2) for value in ctx.saved_tensors)
        to_gate = grads[0].reshape(gate.shape).clone()
        to_up = torch.empty_like(up)
        _ungated(gate, up, to_gate, to_up)
        return to_gate.view_as(grads[0]), to_up.view_as(grads[0])


class _Frozen(torch.autograd.Function):
    """The three products too: what lies between is never kept, and only the gate and the rise are."""

    @staticmethod
    def forward(ctx: Any, given: torch.Tensor, gate_weight: Any, up_weight: Any, down_weight: Any) -> torch.Tensor:
        flat = given.reshape(-1, given.shape[-1])
        gate, up = flat @ gate_weight.t(), flat @ up_weight.t()
        made = _gated(gate, up, scratch("product", gate, *gate.shape)) @ down_weight.t()
        ctx.save_for_backward(gate, up, gate_weight, up_weight, down_weight)
        return made.view(*given.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        gate, up, gate_weight, up_weight, down_weight = ctx.saved_tensors
        given = grads[0].reshape(len(gate), -1)
        grad = torch.mm(given, down_weight, out=scratch("product", gate, *gate.shape))
        to_up = scratch("rise", gate, *gate.shape)
        _ungated(gate, up, grad, to_up)
        made = (grad @ gate_weight).addmm_(to_up, up_weight)
        return made.view(*grads[0].shape[:-1], -1), None, None, None
