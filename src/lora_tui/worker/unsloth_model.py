"""The model as Unsloth builds it: its kernels under the same adapters.

This needs an NVIDIA GPU and Unsloth's own environment (`backends/engines.py`). It has been run on neither by the
project's tests: Unsloth's documented calls are made, and nothing else of the run is different.
"""

from __future__ import annotations

import sys
from typing import Any

from lora_tui.jobs import journal
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile


def patch(log: journal.Journal) -> bool:
    """Import Unsloth, which changes transformers and TRL and therefore must come before them; False if it cannot."""
    try:
        import unsloth  # noqa: F401
    except Exception as error:  # it raises NotImplementedError without a GPU, and whatever its parts raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        log.write(journal.Warned(message=f"Unsloth cannot be used, and TRL trains instead: {reason}", code="engine"))
        return False
    return True


def builds(profile: Profile) -> bool:
    """Whether the model of this run is Unsloth's to build: asked for, and there."""
    return profile.training.engine == "unsloth" and "unsloth" in sys.modules


def model(base: str, profile: Profile) -> Any:
    """The base with fresh adapters, on the GPU. Raises BadInput for what Unsloth does not do."""
    from unsloth import FastLanguageModel

    lora, training = profile.lora, profile.training
    of_data_or_base = isinstance(lora.init_lora_weights, str) and lora.init_lora_weights != "gaussian"
    for key, value in (
        ("lora.use_dora", lora.use_dora),
        ("lora.target_parameters", lora.target_parameters),
        ("lora.exclude_modules", lora.exclude_modules),
        ("lora.rank_pattern", lora.rank_pattern),
        ("lora.alpha_pattern", lora.alpha_pattern),
        ("lora.new_tokens", lora.new_tokens),
        (f"lora.init_lora_weights = {lora.init_lora_weights}", of_data_or_base),
    ):
        if value:
            raise BadInput(f"Unsloth does not do {key}", where=f"profile {profile.name}", fix='Use engine = "trl".')
    loaded, _ = FastLanguageModel.from_pretrained(
        model_name=base,
        max_seq_length=training.max_length,
        dtype=None,
        load_in_4bit=profile.model.load_in_4bit,
        load_in_8bit=profile.model.load_in_8bit,
    )
    return FastLanguageModel.get_peft_model(
        loaded,
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules),
        bias="none",
        use_gradient_checkpointing="unsloth" if training.gradient_checkpointing else False,
        use_rslora=lora.use_rslora,
        init_lora_weights=lora.init_lora_weights,
        modules_to_save=list(lora.modules_to_save) or None,
        random_state=training.seed,
        max_seq_length=training.max_length,
    )
