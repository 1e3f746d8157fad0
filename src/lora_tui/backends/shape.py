"""What a base looks like inside, without loading it: enough to count its weights and what a step keeps in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace import toml

TABLE = Path(__file__).with_name("rules") / "shapes.toml"
CONVOLUTION = 4  # taps of a linear-attention layer's convolution
_ROUTING = ("router", "shared_expert_gate")


class Linear(msgspec.Struct, frozen=True):
    """One kind of weight matrix: `count` of them, each (inputs, outputs); `experts` in each of a mixture's layers."""

    name: str
    inputs: int
    outputs: int
    count: int
    experts: int = 0

    @property
    def weights(self) -> int:
        """Of all of them together."""
        return self.inputs * self.outputs * self.count * max(1, self.experts)


class Shape(msgspec.Struct, frozen=True):
    """A decoder-only transformer. Widths are per token; layers of linear attention are among `layers`."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False
    gated: bool = True  # the MLP multiplies two projections
    qk_norm: bool = False
    gated_attention: bool = False  # q_proj also gives a gate of its own width
    linear_layers: int = 0
    linear_key: int = 0  # width of all key heads of a linear-attention layer
    linear_value: int = 0
    linear_heads: int = 0
    moe_layers: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_intermediate: int = 0
    fused: bool = False  # its layers are among those that `worker/fused` knows

    @property
    def query(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Width of all key heads, as of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def hybrid(self) -> bool:
        """Whether some layers carry a state along the sequence instead of attending."""
        return self.linear_layers > 0

    @property
    def embeddings(self) -> int:
        """Weights of the token embeddings and the head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def linears(self) -> tuple[Linear, ...]:
        """Every kind of matrix in the layers."""
        full, dense = self.layers - self.linear_layers, self.layers - self.moe_layers
        hidden, value = self.hidden, self.linear_value
        found = [
            Linear("q_proj", hidden, self.query * (2 if self.gated_attention else 1), full),
            Linear("k_proj", hidden, self.kv, full),
            Linear("v_proj", hidden, self.kv, full),
            Linear("o_proj", self.query, hidden, full),
            Linear("in_proj_qkvz", hidden, 2 * (self.linear_key + value), self.linear_layers),
            Linear("in_proj_ba", hidden, 2 * self.linear_heads, self.linear_layers),
            Linear("out_proj", value, hidden, self.linear_layers),
            Linear("gate_proj", hidden, self.intermediate, dense if self.gated else 0),
            Linear("up_proj", hidden, self.intermediate, dense),
            Linear("down_proj", self.intermediate, hidden, dense),
        ]
        if self.shared_intermediate:
            shared = self.shared_intermediate
            found += [
                Linear("shared_expert.gate_proj", hidden, shared, self.moe_layers),
                Linear("shared_expert.up_proj", hidden, shared, self.moe_layers),
                Linear("shared_expert.down_proj", shared, hidden, self.moe_layers),
                Linear("shared_expert_gate", hidden, 1, self.moe_layers),
            ]
        if self.experts:
            each = self.expert_intermediate
            found += [
                Linear("router", hidden, self.experts, self.moe_layers),
                Linear("experts.gate_up_proj", hidden, 2 * each, self.moe_layers, self.experts),
                Linear("experts.down_proj", each, hidden, self.moe_layers, self.experts),
            ]
        return tuple(item for item in found if item.count)

    @property
    def parameters(self) -> int:
        """All weights; biases, which few models have, are not counted."""
        norms = 2 * self.hidden * self.layers + self.hidden
        convolutions = (2 * self.linear_key + self.linear_value) * CONVOLUTION * self.linear_layers
        return self.embeddings + norms + convolutions + sum(item.weights for item in self.linears)

    def targeted(self, targets: Collection[str] | str) -> tuple[Linear, ...]:
        """The matrices that adapters stand on. "all-linear" leaves the head out, as PEFT does.

        A name fits as PEFT's do: whole, or as the last part after a dot. "experts" means all routed ones.
        """
        if isinstance(targets, str):
            return tuple(item for item in self.linears if item.name not in _ROUTING)

        def fits(name: str) -> bool:
            return any(name == target or name.endswith(f".{target}") for target in targets)

        return tuple(
            item
            for item in self.linears
            if (item.experts and "experts" in targets) or (not item.experts and fits(item.name))
        )

    def trainable(self, targets: Collection[str] | str, r: int) -> int:
        """Weights of LoRA's A and B on the targets: r × (inputs + outputs) each."""
        return sum(
            r * (item.inputs + item.outputs) * item.count * max(1, item.experts) for item in self.targeted(targets)
        )


def of_config(config: Mapping[str, Any]) -> Shape:
    """The shape in a config.json. Raises KeyError where it is of no family this knows the names of."""
    text: Mapping[str, Any] = config.get("text_config") or config
    hidden, heads, layers = int(text["hidden_size"]), int(text["num_attention_heads"]), int(text["num_hidden_layers"])
    kind = str(text.get("model_type", ""))
    experts = int(text.get("num_experts") or text.get("num_local_experts") or text.get("n_routed_experts") or 0)
    types = text.get("layer_types") or []
    linear = sum(1 for item in types if item == "linear_attention")
    if not types and "linear_num_value_heads" in text:  # older files name the interval only
        every = int(text.get("full_attention_interval") or 4)
        linear = layers - layers // every
    only = len(text.get("mlp_only_layers") or [])
    moe = (layers - only) // int(text.get("decoder_sparse_step") or 1) if experts else 0
    intermediate = int(text["intermediate_size"])
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=int(text.get("num_key_value_heads") or heads),
        head_dim=int(text.get("head_dim") or hidden // heads),
        vocabulary=int(text["vocab_size"]),
        tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        gated=kind not in _PLAIN_MLP,
        qk_norm=kind.startswith(_QK_NORM),
        gated_attention=linear > 0,
        linear_layers=linear,
        linear_key=int(text.get("linear_num_key_heads") or 0) * int(text.get("linear_key_head_dim") or 0),
        linear_value=int(text.get("linear_num_value_heads") or 0) * int(text.get("linear_value_head_dim") or 0),
        linear_heads=int(text.get("linear_num_value_heads") or 0),
        moe_layers=moe,
        experts=experts,
        experts_per_token=int(text.get("num_experts_per_tok") or 0) if experts else 0,
        expert_intermediate=int(text.get("moe_intermediate_size") or intermediate) if experts else 0,
        shared_intermediate=int(text.get("shared_expert_intermediate_size") or 0) if experts else 0,
        fused=kind in FUSED,
    )


FUSED = ("llama", "mistral", "qwen2", "qwen3")
_PLAIN_MLP = ("phi", "gpt2", "gpt_neox", "starcoder2", "apertus", "opt", "falcon", "nemotron")
_QK_NORM = ("qwen3", "olmo2", "olmo3", "gemma3", "apertus")


@lru_cache(maxsize=1)
def known() -> dict[str, Shape]:
    """Shapes by their name in the table and by every name the Hub has for them."""
    found: dict[str, Shape] = {}
    for name, data in toml.read(TABLE).items():
        shape = msgspec.convert({key: value for key, value in data.items() if key != "hub"}, Shape)
        found |= dict.fromkeys((name, *data["hub"]), shape)
    return found


def of_base(base: str) -> Shape | None:
    """The shape of a resolved base, of its config.json on this machine, else of the table; None: neither has it."""
    path = config_file(base)
    if path is not None:
        try:
            return of_config(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return known().get(base)


def config_file(base: str) -> Path | None:
    """The base's config.json on this machine: in its folder, or in the Hub's cache."""
    folder = Path(base)
    if folder.is_dir():
        return folder / "config.json" if (folder / "config.json").is_file() else None
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = cache / f"models--{base.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    path = folder / "snapshots" / commit / "config.json"
    return path if path.is_file() else None


def guessed(layers: int, hidden: int, vocabulary: int, parameters: int) -> Shape:
    """A plain shape of that many weights, for a base of a family that nobody here knows."""
    heads = max(1, hidden // 64)
    inside = max(0, parameters - 2 * vocabulary * hidden) // max(1, layers) - 4 * hidden * hidden
    return Shape(
        layers=max(1, layers),
        hidden=hidden,
        intermediate=max(hidden, inside // max(1, 3 * hidden)),
        heads=heads,
        kv_heads=heads,
        head_dim=max(1, hidden // heads),
        vocabulary=vocabulary,
    )
