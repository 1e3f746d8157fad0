"""PiSSA and OLoRA take the adapter's first weights out of the base: it is trained on a base that nobody has.

What is saved is therefore the difference to those first weights, as an adapter of twice the rank that belongs on the
original base: W + s·BA − s·B₀A₀ = W + s·[B | −B₀]·[A ; A₀] (Meng et al. 2024, appendix; PEFT's own conversion, which
this follows, loses DoRA's magnitudes and scales patterns wrongly under rsLoRA).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

FILE = "beginning.safetensors"  # in the run folder
_A, _B = ".lora_A.", ".lora_B."


def keep_beginning(model: Any, folder: Path, *, first: bool) -> None:
    """Keep the first A and B with the run; of a resumed run, put the base into the state that those kept mean.

    The decomposition is not bit for bit the same on every machine, and what is saved at the end is the difference to
    the kept one.
    """
    path = folder / FILE
    if not path.is_file():
        if first:
            draft = path.with_suffix(".draft")
            save_file({name: weight.detach().cpu().clone() for name, weight in _halves(model).items()}, draft)
            draft.replace(path)
        return
    kept = load_file(path)
    now = _halves(model)
    if all(torch.equal(now[name].cpu(), weight) for name, weight in kept.items()):
        return
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer) or "default" not in module.lora_A:
                continue
            was = (now[f"{name}{_B}weight"].float() @ now[f"{name}{_A}weight"].float()) * module.scaling["default"]
            a, b = (kept[f"{name}{half}weight"].to(was.device) for half in (_A, _B))
            weight = module.get_base_layer().weight
            weight += (was - module.scaling["default"] * (b.float() @ a.float())).to(weight.dtype)
            module.lora_A["default"].weight.copy_(a)
            module.lora_B["default"].weight.copy_(b)


def for_original_base(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    """The trained adapter's weights as they belong on the original base."""
    kept = load_file(folder / FILE)
    made = get_peft_model_state_dict(model)
    for name, weight in made.items():
        first = kept.get(name)
        if first is None:
            continue
        half = [weight, first.to(weight)] if _A in name else [weight, -first.to(weight)]
        made[name] = torch.cat(half, dim=0 if _A in name else 1)
    return made


def twice_the_rank(config: Any) -> None:
    """Change a LoraConfig to what `for_original_base` gives: rank 2r at the same scale."""
    grown = math.sqrt(2) if config.use_rslora else 2
    config.r *= 2
    config.lora_alpha = config.lora_alpha * grown
    config.rank_pattern = {key: 2 * rank for key, rank in (config.rank_pattern or {}).items()}
    config.alpha_pattern = {key: grown * alpha for key, alpha in (config.alpha_pattern or {}).items()}
    config.init_lora_weights = True


def _halves(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in get_peft_model_state_dict(model).items() if _A in name or _B in name}
