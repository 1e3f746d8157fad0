"""Going on from an adapter: its weights are trained further, as the LoRA it was made as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile


def with_adapter(model: Any, folder: Path, profile: Profile) -> Any:
    """`model` with the adapter's weights, trainable; dropout is the profile's, all else the adapter's.

    Raises BadInput when there is none, or it does not fit the base.
    """
    from peft import PeftConfig, PeftModel

    if not (folder / "adapter_config.json").is_file():
        raise BadInput(
            "the adapter this run goes on from is gone", where=str(folder), fix="Put its folder back, or start anew."
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = False
        config.lora_dropout = profile.lora.lora_dropout
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True, config=config)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"the adapter does not fit this base: {first}", where=str(folder)) from error


def check_new(rows: int) -> None:
    """Raises BadInput where an earlier run was trained on every row that can be."""
    if not rows:
        raise BadInput(
            "no row that can be trained on is new to the adapter it goes on from",
            fix="Train without --new-only, or accept more examples and build the dataset again.",
        )
