"""GPUs by the names that drivers and providers give them: memory and peak speed, from rules/gpus.toml."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import msgspec

from lora_tui.backends.memory import GIB
from lora_tui.backends.place import Place, has_bf16
from lora_tui.workspace import toml

TABLE = Path(__file__).parents[1] / "rules" / "gpus.toml"


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind. `tflops`: the peak of dense bf16 products, 1e12 a second; `sky`: SkyPilot's name."""

    name: str
    words: tuple[str, ...]
    memory_gib: float
    tflops: float
    sky: str = ""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    as_of: str
    verified: bool
    gpu: tuple[Gpu, ...]


@lru_cache(maxsize=1)
def known() -> tuple[Gpu, ...]:
    """Every kind in the table."""
    return toml.load(TABLE, _Table).gpu


def named(name: str) -> Gpu | None:
    """The kind that a driver's or a provider's name means: "NVIDIA GeForce RTX 4090", "A100 SXM4"."""
    told = name.upper()

    def has(word: str) -> bool:
        before = "A-Z" if word[0].isalpha() else "0-9"  # "RTX4090" is a 4090, "GH200" no H200
        return re.search(f"(?<![{before}]){word}(?![A-Z0-9])", told) is not None

    return next((gpu for gpu in known() if all(has(word) for word in gpu.words)), None)


def place(gpu: Gpu, memory_gib: float = 0.0, gpus: int = 1) -> Place:
    """An empty GPU of that kind, as a run would find it; `memory_gib`: what its provider says it has."""
    size = int((memory_gib or gpu.memory_gib) * GIB)
    return Place(gpu.name, True, size, size, gpus, has_bf16(gpu.name))
