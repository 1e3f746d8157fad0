"""Tiny bases of every architecture the shipped profiles are for: real layers, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HIDDEN = 32


def make_base(kind: str, folder: Path, tokenizer: Any) -> Path:
    """A model of the kind "qwen2", "qwen3", "llama" or "qwen3-next" with `tokenizer`, in `folder`/kind."""
    import torch
    import transformers

    shared = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "initializer_range": 0.2,
    }
    configs = {
        "qwen2": lambda: transformers.Qwen2Config(**shared),
        "qwen3": lambda: transformers.Qwen3Config(**shared, head_dim=8),
        "llama": lambda: transformers.LlamaConfig(**shared),
        "qwen3-next": lambda: transformers.Qwen3NextConfig(
            **shared | {"num_hidden_layers": 4},  # three of linear attention, one of full attention
            head_dim=8,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=16,
            shared_expert_intermediate_size=16,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
        ),
    }
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(configs[kind]())
    path = folder / kind
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
