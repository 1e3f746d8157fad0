"""The LoRA configuration a profile asks for."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile


def lora_config(profile: Profile) -> LoraConfig:
    """[lora] of the profile as peft.LoraConfig."""
    lora = profile.lora
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules),
        use_rslora=lora.use_rslora,
    )


def with_lora(model: Any, profile: Profile) -> Any:
    """`model` with fresh adapters. Raises BadInput when the base has none of the target modules."""
    from peft import get_peft_model

    try:
        return get_peft_model(model, lora_config(profile))
    except ValueError as error:
        if "target modules" not in str(error).lower():
            raise
        raise BadInput(
            f"the base has none of the modules in lora.target_modules: {profile.lora.target_modules}",
            where=f"profile {profile.name}",
            fix='Use target_modules = "all-linear", or the names of the base\'s own layers.',
        ) from error
