"""How much memory a run needs at its fullest, as a sum of its parts. Bytes throughout.

It is a sum of tensors that a step holds, counted from the base's shape. Constants that are not counted but chosen carry
in their comment what they were chosen on; `benchmarks/memory.py` prints the estimate against published and measured
figures, those that no constant was chosen on apart.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from lora_tui.backends.activations import Kept, layer_bytes, of_layer
from lora_tui.backends.optimizers import state_bytes
from lora_tui.backends.shape import Shape

Storage = Literal["fp32", "bf16", "fp16", "int8", "nf4", "nf4-dq", "gptq"]
Loss = Literal["full", "chunked", "fused", "labels"]

GIB = 1024**3

# Bytes per weight of the layers' matrices; embeddings, head and norms stay at the computing width.
_STORED: dict[Storage, float] = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "int8": 1.0,
    "nf4": 0.5 + 4 / 64,  # a scale of four bytes for each 64 weights
    "nf4-dq": 0.5 + 1 / 64 + 4 / (64 * 256),  # the scales in 8 bit, 256 of which share one (Dettmers et al. 2023, §3)
    "gptq": 0.5 + 2.5 / 128,  # a scale and a zero point for each 128 weights
}
_QUANTISED = ("int8", "nf4", "nf4-dq", "gptq")

# Per vocabulary entry and token: logits at 16 bit, their shifted copy, log-probabilities and their gradient in fp32,
# and that gradient at 16 bit again. 2 + 2 + 4 + 4 + 2.
_FULL_MIXED = 14
_FULL_PURE = 4  # the same four, times the width, where nothing is raised to fp32
_CHUNKED = 1  # one of eight chunks of the sequence: logits and gradient at 16 bit, one copy in fp32
_TILE = 4096 * 32768 * 4  # TRL's fused head: positions × entries, fp32; and its gradient

# Chosen on the fitting part of the published points whose source counts the whole device.
_CONTEXT = int(1.45 * 1000**3)  # CUDA context, kernels, cuBLAS workspaces
# Of what comes and goes, lost between the allocator's blocks; on a CPU chosen on the second of the shapes that are
# measured there.
_LOST = {"device": 0.04, "reserved": 0.04, "allocated": 0.0, "process": 0.05}


class Holding(msgspec.Struct, frozen=True):
    """How an engine holds a run: what decides its memory beside the base's shape and the batch."""

    storage: Storage = "bf16"
    adapter_width: int = 4  # bytes of an adapter's weight, and of its gradient
    autocast: bool = False  # fp32 adapters are copied to 16 bit for each pass
    optim: str = "adamw_torch"
    loss: Loss = "fused"
    eager: bool = False  # attention that writes its scores out
    checkpointing: bool = False
    keeps: int = 0  # bytes of activations up to which layers are not done again, in spite of checkpointing
    dropout: bool = False
    keeps_inputs: bool = False  # a bitsandbytes that saves what its 4-bit matrices are multiplied with
    compiled: bool = False
    fused: bool = False  # by `worker/fused`, where the base's layers are known to it
    master: bool = False  # 16-bit adapters with an fp32 copy, its gradient and its states beside them (DeepSpeed)
    buffers: int = 0  # for gathering and reducing gradients
    counted: Literal["device", "reserved", "allocated", "process"] = "device"
    anchors: int = 0  # fp32 copies of the adapters' size: Fisher information, where EWC and L2 pull back to
    runtime: int = _CONTEXT  # what the libraries take before the first weight; only where the device or process counts
    gpus: int = 1
    sharded: bool = False  # FSDP2: each GPU holds its part of the weights

    @property
    def width(self) -> int:
        """Bytes of a value that is computed with."""
        return 4 if self.storage == "fp32" else 2


class Batch(msgspec.Struct, frozen=True):
    """The fullest micro-batch: rows × length tokens after padding, and the most labels in one."""

    rows: int
    length: int
    labels: int = 0

    @property
    def tokens(self) -> int:
        """Slots, padding among them."""
        return self.rows * self.length


class Estimate(msgspec.Struct, frozen=True):
    """The parts. `logits` and `layer` follow each other: only the larger one counts, beside `activations`."""

    weights: int
    adapters: int  # with their 16-bit copies where it autocasts
    gradients: int
    optimizer: int
    activations: int  # kept from the forward pass for the backward one
    layer: int  # one layer forward again and backward, with the weights unpacked for it
    logits: int
    evaluation: int  # what an evaluation holds instead of the three before
    runtime: int  # CUDA context and libraries; on a CPU the engine's own code and data
    slack: int

    @property
    def working(self) -> int:
        """What one micro-batch adds at its fullest."""
        return max(self.activations + max(self.logits, self.layer), self.evaluation)

    @property
    def lasting(self) -> int:
        """What is there all the time."""
        return self.weights + self.adapters + self.gradients + self.optimizer + self.runtime

    @property
    def total(self) -> int:
        """At the fullest moment; of one GPU where there are several."""
        return self.lasting + self.working + self.slack


def estimate(
    shape: Shape,
    targets: Collection[str] | str,
    trainable: int,
    batch: Batch,
    holding: Holding,
    *,
    parameters: int = 0,
    validation: Batch | None = None,
) -> Estimate:
    """What a step of a run needs.

    targets: names of the adapted matrices, or "all-linear"; trainable: weights of the adapters on them.
    parameters: all weights of the base where they were counted; 0: as the shape says.
    """
    width = holding.width
    kept = Kept(
        targets=shape.targeted(targets),
        width=width,
        copies=0 if holding.adapter_width <= width else width if holding.autocast else holding.adapter_width,
        dropout=holding.dropout,
        eager=holding.eager,
        keeps_inputs=holding.keeps_inputs,
        compiled=holding.compiled,
        cpu=holding.counted == "process",
        fused=holding.fused and shape.fused,
    )
    unpacked = _unpacked(shape, holding)
    if holding.checkpointing:
        each = of_layer(shape, kept, batch.rows, batch.length) // shape.layers
        whole = min(shape.layers, max(1, holding.keeps // each)) if holding.keeps else 0
        activations = whole * each + (shape.layers - whole) * batch.tokens * shape.hidden * width
        layer = layer_bytes(shape, kept, batch.rows, batch.length) + unpacked
        if whole == shape.layers:
            layer = _backward(shape, batch.tokens, width) + unpacked
    else:
        activations = of_layer(shape, kept, batch.rows, batch.length)
        layer = _backward(shape, batch.tokens, width) + unpacked
    logits = _logits(shape.vocabulary, batch, holding)
    evaluation = 0
    if validation is not None:
        forward = _backward(shape, validation.tokens, width) + unpacked
        evaluation = forward + _logits(shape.vocabulary, validation, holding) * 2 // 3
    working = max(activations + max(logits, layer), evaluation)
    outside = holding.counted in ("device", "process")
    gradients = trainable * holding.adapter_width + holding.buffers
    if holding.gpus > 1 and not holding.sharded:
        gradients += trainable * holding.adapter_width  # DistributedDataParallel's buckets
    states = trainable * state_bytes(holding.optim, 4 if holding.master else holding.adapter_width)
    if holding.master:
        states += trainable * 8  # the fp32 weight and its gradient
    weights = _weights(shape, parameters or shape.parameters, holding)
    adapters = trainable * (
        4 * holding.anchors + holding.adapter_width + (width if holding.autocast and kept.copies else 0)
    )
    parts = holding.gpus if holding.sharded else 1
    return Estimate(
        weights=weights // parts + (2 * weights // max(1, shape.layers) if parts > 1 else 0),  # two layers whole
        adapters=adapters // parts,
        gradients=gradients // parts,
        optimizer=int(states) // parts,
        activations=activations,
        layer=layer,
        logits=logits,
        evaluation=evaluation,
        runtime=holding.runtime if outside else 0,
        slack=int(_LOST[holding.counted] * working),
    )


def _weights(shape: Shape, parameters: int, holding: Holding) -> int:
    packed = sum(item.weights for item in shape.linears if item.name not in ("router", "shared_expert_gate"))
    packed = min(packed, parameters)
    return int(packed * _STORED[holding.storage]) + (parameters - packed) * holding.width


def _unpacked(shape: Shape, holding: Holding) -> int:
    """The largest matrix of a layer at the width it is multiplied in, where it is stored in fewer bits."""
    if holding.storage not in _QUANTISED:
        return 0
    return max(item.inputs * item.outputs * max(1, item.experts) for item in shape.linears) * holding.width


def _backward(shape: Shape, tokens: int, width: int) -> int:
    """Gradients in flight in one layer: of both halves of the MLP and their product, of the stream in fp32."""
    wide = max(shape.intermediate, shape.expert_intermediate * shape.experts_per_token + shape.shared_intermediate)
    return tokens * (3 * wide * width + shape.hidden * (4 + 2 * width))


def _logits(vocabulary: int, batch: Batch, holding: Holding) -> int:
    match holding.loss:
        case "full":
            mixed = holding.width == 2 and holding.autocast
            return vocabulary * batch.tokens * (_FULL_MIXED if mixed else _FULL_PURE * holding.width)
        case "chunked":
            return vocabulary * batch.tokens * _CHUNKED
        case "fused":
            return 2 * min(_TILE, vocabulary * batch.tokens * 4)
        case "labels":
            labels = batch.labels or batch.tokens
            return min(_PIECE, holding.width * vocabulary * labels)


# Our own head on a CPU: logits of some labels at a time, which become their own gradient.
_PIECE = 128 << 20
