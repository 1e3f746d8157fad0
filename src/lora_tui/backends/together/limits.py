"""What Together allows for a base, and whether it has the base at all: asked of its server, never of a baked list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lora_tui.backends.shape import TABLE
from lora_tui.backends.together.client import ServiceError, asking, converted, plain
from lora_tui.workspace import toml

if TYPE_CHECKING:
    from together import Together
    from together.types import FinetuneModelLimits

_UNKNOWN = (400, 404, 422)  # how a base that is none of theirs is answered


class LoraLimits(msgspec.Struct, frozen=True):
    """`lora_training` of the limits."""

    max_rank: int
    min_batch_size: int
    max_batch_size: int
    target_modules: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """GET /v1/fine-tunes/models/limits: what a job on this base may ask for."""

    model_name: str
    lora_training: LoraLimits
    max_num_epochs: int
    max_num_evals: int
    max_num_checkpoints: int
    min_learning_rate: float
    max_learning_rate: float
    max_seq_length_sft: int
    min_max_seq_length: int = 1
    supports_tools: bool = True


class Base(msgspec.Struct, frozen=True):
    """One of Together's bases, and whose weights the run begins with where they are not its own."""

    model: str
    limits: Limits
    from_hf_model: str = ""


def limits_of(client: Together, model: str) -> tuple[Limits, FinetuneModelLimits] | None:
    """The limits of a base, ours and as the SDK holds them; None where Together does not fine-tune it.

    Raises ServiceError.
    """
    try:
        with asking(f"what may be asked of {model}"):
            raw = client.fine_tuning.model_limits(model_name=model)
            return converted(plain(raw), Limits), raw
    except ServiceError as error:
        if error.status in _UNKNOWN:
            return None
        raise


def base_for(client: Together, wanted: str) -> Base | None:
    """How a base of the Hugging Face Hub is trained there: itself, or with the recipe of one of the same shape.

    None where Together has neither. Raises ServiceError.
    """
    if (found := limits_of(client, wanted)) is not None:
        return Base(wanted, found[0])
    for model in same_shape(wanted):
        if (found := limits_of(client, model)) is not None:
            return Base(model, found[0], from_hf_model=wanted)
    return None


def same_shape(wanted: str) -> list[str]:
    """Bases with the same architecture and widths, those that answer in turns first; of rules/shapes.toml."""
    for table in toml.read(TABLE).values():
        hub = table.get("hub", ())
        if wanted in hub:
            return sorted((name for name in hub if name != wanted), key=lambda name: ("Instruct" not in name, name))
    return []


def supported(client: Together) -> list[dict[str, Any]]:
    """The bases that Together fine-tunes: id, name, context length, architecture. Raises ServiceError."""
    with asking("which bases there are"):
        found = []
        for model in client.models.list_supported(product="PRODUCT_FINE_TUNING"):
            data = plain(model)
            found.append(
                {
                    "name": str(data["name"]),
                    "id": str(data.get("baseModelId") or data["id"]),
                    "context": int(data.get("contextLength") or 0),
                    "architecture": str(data.get("architecture") or ""),
                }
            )
        return sorted(found, key=lambda item: str(item["name"]).lower())
