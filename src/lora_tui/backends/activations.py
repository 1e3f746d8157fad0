"""What autograd keeps of the layers for the backward pass, counted tensor by tensor. Bytes.

A frozen matrix keeps nothing of its input; an adapter on it keeps that input, and with dropout a copy and a mask of
it. Norms keep an fp32 copy of the stream; attention keeps query, key, value and its result (FlashAttention and SDPA
write no scores); an MLP keeps both projections, the activation, and what goes into its last matrix if that is adapted.
Layers that the worker fuses on a CPU keep less: norms and adapters no copies, an MLP no activation.
"""

from __future__ import annotations

import msgspec

from lora_tui.backends.shape import Linear, Shape

_FP32 = 4
_MASK = 1  # a byte for each value that dropout may drop


class Kept(msgspec.Struct, frozen=True):
    """How a stack keeps things."""

    targets: tuple[Linear, ...]
    width: int  # bytes of a value
    copies: int = 0  # bytes of a value in the copy that each adapter makes of its input; 0: it shares the input
    dropout: bool = False
    eager: bool = False
    keeps_inputs: bool = False  # in fp32, of every matrix; a bitsandbytes of 2024
    compiled: bool = False  # norms and activations are done again rather than kept
    cpu: bool = False  # where dropout's mask is as wide as a value, and no byte
    fused: bool = False  # by `worker/fused`

    def has(self, name: str) -> bool:
        """Whether an adapter stands on the matrix."""
        return any(item.name == name for item in self.targets)

    @property
    def norm(self) -> int:
        """Kept of each value that a norm takes."""
        return self.width if self.compiled or self.fused else _FP32

    def inputs(self, width_in: int, *names: str) -> int:
        """Kept per token of one input that goes into these matrices."""
        adapted = sum(self.has(name) for name in names)
        frozen = _FP32 * width_in if self.keeps_inputs else 0
        if not adapted:
            return frozen
        if self.fused:
            return width_in * (self.width + adapted * _MASK * self.dropout)
        if self.dropout:
            mask = (self.copies or self.width) if self.cpu else _MASK
            return width_in * adapted * ((self.copies or self.width) + mask) + frozen
        return width_in * (adapted * self.copies or self.width) + frozen


def of_layer(shape: Shape, kept: Kept, rows: int, length: int) -> int:
    """Kept of all layers together without checkpointing, for a batch of rows × length tokens."""
    full, linear = shape.layers - shape.linear_layers, shape.linear_layers
    dense, mixed = shape.layers - shape.moe_layers, shape.moe_layers
    tokens = rows * length
    total = tokens * shape.layers * 2 * shape.hidden * kept.norm
    total += full * _attention(shape, kept, rows, length)
    total += linear * tokens * _linear_attention(shape, kept)
    total += dense * tokens * _mlp(shape.intermediate, shape, kept, "")
    total += mixed * tokens * _mixture(shape, kept)
    return total


def layer_bytes(shape: Shape, kept: Kept, rows: int, length: int) -> int:
    """The fullest one layer with checkpointing: what it keeps when it is done again, and the gradients in flight."""
    tokens = rows * length
    attention = _attention(shape, kept, rows, length) if shape.layers > shape.linear_layers else 0
    if shape.linear_layers:
        attention = max(attention, tokens * _linear_attention(shape, kept))
    mlp = _mlp(shape.intermediate, shape, kept, "") if shape.layers > shape.moe_layers else 0
    if shape.moe_layers:
        mlp = max(mlp, _mixture(shape, kept))
    wide = max(shape.intermediate, shape.expert_intermediate * shape.experts_per_token + shape.shared_intermediate)
    flying = (1 if kept.compiled else 2) * wide * kept.width + shape.hidden * (_FP32 + 2 * kept.width)
    return attention + tokens * (2 * shape.hidden * kept.norm + mlp + flying)


def _attention(shape: Shape, kept: Kept, rows: int, length: int) -> int:
    query, kv, width = shape.query, shape.kv, kept.width
    each = kept.inputs(shape.hidden, "q_proj", "k_proj", "v_proj") + kept.inputs(query, "o_proj")
    each += width * 2 * (query + kv)
    if shape.qk_norm:
        each += kept.norm * (query + kv)
    if shape.gated_attention:
        each += 3 * width * query
    scores = shape.heads * rows * length * length * (width + _FP32) if kept.eager else 0
    return rows * length * each + scores


def _linear_attention(shape: Shape, kept: Kept) -> int:
    """A gated delta rule: projections, the convolution's input and result, states of each chunk in fp32, the gate."""
    key, value = shape.linear_key, shape.linear_value
    each = kept.inputs(shape.hidden, "in_proj_qkvz", "in_proj_ba") + kept.inputs(value, "out_proj")
    return each + kept.width * (3 * (2 * key + value) + 3 * value) + _FP32 * (2 * key + 2 * value)


def _mlp(wide: int, shape: Shape, kept: Kept, prefix: str) -> int:
    each = kept.inputs(shape.hidden, f"{prefix}gate_proj", f"{prefix}up_proj")
    each += kept.inputs(wide, f"{prefix}down_proj")
    return each + kept.width * wide * (1 if not shape.gated else 2 if kept.compiled or kept.fused else 3)


def _mixture(shape: Shape, kept: Kept) -> int:
    """Every token goes to its k experts, gathered anew for them, and to the shared one."""
    each = shape.experts_per_token * kept.width * (shape.hidden + 4 * shape.expert_intermediate)
    each += shape.experts * (_FP32 + kept.width)
    return each + _mlp(shape.shared_intermediate, shape, kept, "shared_expert.")
