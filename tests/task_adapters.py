"""The five task adapters of the shipped profiles, really trained through PEFT on a tiny Qwen2, in seconds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

TASKS = ("coder", "researcher", "security", "architect", "reviewer")
_PROFILES = Path(__file__).parent.parent / "profiles"
_STEPS = 12


def make_base(folder: Path) -> Path:
    """A Qwen2 of two layers with random weights."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def make_adapter(task: str, base: Path, folder: Path) -> Path:
    """The adapter of a profile's r, lora_alpha and target_modules, trained on a language of its own."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = tomllib.loads((_PROFILES / f"{task}.toml").read_text())["lora"]
    torch.manual_seed(TASKS.index(task))
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(
            r=lora["r"],
            lora_alpha=lora["lora_alpha"],
            target_modules=lora["target_modules"],
            task_type="CAUSAL_LM",
        ),
    )
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=5e-3)
    rows = torch.randint(0, 128, (8, 24))
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss: Any = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def loaded_deltas(base: Path, adapter: Path) -> dict[str, Any]:
    """{module: ΔW in float64} as PEFT itself has it after loading the adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    return peft_deltas(model, "default")


def peft_deltas(model: Any, name: str) -> dict[str, Any]:
    """{module: ΔW in float64} of one of a PEFT model's adapters."""
    found = {}
    for key, module in model.named_modules():
        if name in getattr(module, "lora_A", {}):
            a, b = module.lora_A[name].weight.detach().double(), module.lora_B[name].weight.detach().double()
            found[key.removeprefix("base_model.model.")] = module.scaling[name] * b @ a
    return found
