"""What can be read off an adapter's folder and its base, to fill in what its metadata leaves empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters import base_facts, checksums
from lora_tui.adapters.metadata import Metadata
from lora_tui.workspace.errors import BadInput

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def described(metadata: Metadata, folder: Path) -> Metadata:
    """With what can be read off the folder where the metadata is silent."""
    config = config_of(folder)
    base = metadata.base or str(config.get("base_model_name_or_path") or "")
    about = base_facts.facts(base, folder, metadata.base_revision or str(config.get("revision") or ""))
    targets = config.get("target_modules") or ()
    targets = targets if isinstance(targets, list) else (targets,) if targets else ()
    weights = folder / WEIGHTS
    return msgspec.structs.replace(
        metadata,
        base=base,
        base_revision=metadata.base_revision or about.revision,
        tokenizer_hash=metadata.tokenizer_hash or about.tokenizer_hash,
        template_hash=metadata.template_hash or about.template_hash,
        licence=metadata.licence or about.licence,
        r=metadata.r or int(_number(config.get("r"))),
        lora_alpha=metadata.lora_alpha or _number(config.get("lora_alpha")),
        target_modules=metadata.target_modules or tuple(sorted(map(str, targets))),
        parameters=metadata.parameters or _parameters(weights),
        weights_sha256=checksums.sha256(weights) if weights.is_file() else "",
        config_sha256=checksums.config_sha256(config) if config else "",
    )


def config_of(folder: Path) -> dict[str, Any]:
    """Its adapter_config.json; empty where it cannot be read."""
    try:
        found = msgspec.json.decode((folder / CONFIG).read_bytes())
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _parameters(weights: Path) -> int:
    from lora_tui.adapters.tensor_files import TensorFile

    try:
        with TensorFile(weights) as file:
            return sum(info.parameters for info in file.tensors.values())
    except BadInput:
        return 0
