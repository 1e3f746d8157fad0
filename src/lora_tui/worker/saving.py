"""The adapter on disk."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from lora_tui.worker.taken_out import for_original_base, twice_the_rank


def save_adapter(
    model: Any,
    base: str,
    path: Path,
    beside: Callable[[Path], None] = lambda folder: None,
    *,
    beginning: Path | None = None,
    tokenizer: Any = None,
    weights: dict[str, Any] | None = None,
) -> None:
    """The adapter in PEFT's layout, with what `beside` puts into its folder, which appears only when it is complete.

    beginning: the run folder, where the adapter's first weights were taken out of the base (see `taken_out`): it is
    saved as one that belongs on the original base.
    weights: by the model's own names, where the model itself holds only pieces of them.
    tokenizer: goes beside the adapter where it has tokens that the base's does not have.
    """
    model.peft_config["default"].base_model_name_or_path = base
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        draft.chmod(0o755)
        if beginning is None:
            model.save_pretrained(draft, **({} if weights is None else {"state_dict": weights}))
        else:
            _save_for_original_base(model, draft, beginning)
        if tokenizer is not None:
            tokenizer.save_pretrained(draft)
        (draft / "README.md").unlink(missing_ok=True)  # PEFT's empty card
        beside(draft)
        for file in draft.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        os.rename(draft, path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _save_for_original_base(model: Any, draft: Path, beginning: Path) -> None:
    weights = {name: weight.detach().cpu().contiguous() for name, weight in for_original_base(model, beginning).items()}
    save_file(weights, draft / "adapter_model.safetensors", metadata={"format": "pt"})
    config = copy.deepcopy(model.peft_config["default"])
    twice_the_rank(config)
    config.inference_mode = True
    config.save_pretrained(draft)
