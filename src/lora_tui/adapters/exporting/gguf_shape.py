"""What llama.cpp must know of a model's architecture, read off its config.json; what it cannot be told is refused."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lora_tui.adapters.exporting.base import Base
from lora_tui.workspace.errors import BadInput

ARCHITECTURES = {"Qwen2ForCausalLM": "QWEN2", "Qwen3ForCausalLM": "QWEN3", "LlamaForCausalLM": "LLAMA"}
_ROTARY = re.compile(r"layers\.\d+\.self_attn\.(?P<which>[qk])_proj\.(weight|bias)$")


class Shape(msgspec.Struct, frozen=True):
    """A dense decoder as GGUF describes it."""

    architecture: str  # gguf's name: QWEN2
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    vocabulary: int
    rope_theta: float
    epsilon: float
    names_head_dim: bool  # it is not hidden / heads, or the config says it

    def rotary_heads(self, tensor: str) -> int:
        """Heads whose rotary rows llama.cpp wants interleaved; 0 for a tensor that stays as it is."""
        match = _ROTARY.search(tensor)
        if self.architecture != "LLAMA" or match is None:
            return 0
        return self.heads if match["which"] == "q" else self.kv_heads


def shape(base: Base) -> Shape:
    """The shape of a base. Raises BadInput, by name, for an architecture or a setting that is not converted."""
    config = base.config
    if base.architecture not in ARCHITECTURES:
        raise _refused(f"its architecture {base.architecture or 'without a name'} is not converted", base)
    for key, why in _UNKNOWN.items():
        if config.get(key):
            raise _refused(f"{key} = {config[key]!r}: {why}", base)
    if (act := config.get("hidden_act", "silu")) != "silu":
        raise _refused(f"hidden_act = {act!r}: llama.cpp computes silu here", base)
    if (part := _rope(config).get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1) != 1:
        raise _refused(f"partial_rotary_factor = {part!r}: only a part of a head turns", base)
    _refuse_scaled_rope(base)
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return Shape(
            architecture=ARCHITECTURES[base.architecture],
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            intermediate=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            context=int(config["max_position_embeddings"]),
            vocabulary=int(config["vocab_size"]),
            rope_theta=rope_theta(config) or 10_000.0,
            epsilon=float(config.get("rms_norm_eps", 1e-6)),
            names_head_dim=bool(config.get("head_dim")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"its config lacks {error}", where=str(base.folder), fix="Download it again.") from error


def rope_theta(config: dict[str, Any]) -> float:
    """Where transformers 4 keeps it, or transformers 5; 0 where neither has it."""
    return float(config.get("rope_theta") or _rope(config).get("rope_theta") or 0)


def add_shape(writer: Any, found: Shape) -> None:
    """Write it into a GGUFWriter."""
    writer.add_block_count(found.layers)
    writer.add_context_length(found.context)
    writer.add_embedding_length(found.hidden)
    writer.add_feed_forward_length(found.intermediate)
    writer.add_head_count(found.heads)
    writer.add_head_count_kv(found.kv_heads)
    writer.add_rope_freq_base(found.rope_theta)
    writer.add_layer_norm_rms_eps(found.epsilon)
    writer.add_vocab_size(found.vocabulary)
    if found.names_head_dim or found.architecture == "QWEN3":
        writer.add_key_length(found.head_dim)
        writer.add_value_length(found.head_dim)
    if found.architecture == "LLAMA":
        writer.add_rope_dimension_count(found.head_dim)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return found if isinstance(found, dict) else {}


def _refuse_scaled_rope(base: Base) -> None:
    for key in ("rope_scaling", "rope_parameters"):
        found = base.config.get(key) or {}
        kind = found.get("rope_type", found.get("type")) if isinstance(found, dict) else found
        if kind not in (None, "default"):
            raise _refused(f"{key} of the type {kind!r}: scaled positions are not converted", base)


def _refused(why: str, base: Base) -> BadInput:
    known = ", ".join(ARCHITECTURES)
    return BadInput(
        f"this model cannot be converted to GGUF here: {why}",
        where=str(base.folder),
        fix=f"Converted are {known}. Else export it merged and use llama.cpp's own convert_hf_to_gguf.py.",
    )


_UNKNOWN = {
    "num_experts": "mixtures of experts are not converted",
    "num_local_experts": "mixtures of experts are not converted",
    "use_sliding_window": "windows of attention are not converted",
    "quantization_config": "quantised weights are not converted",
}
