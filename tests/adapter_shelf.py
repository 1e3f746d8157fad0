"""A registry as it looks after some weeks: versions that were trained, went on, were merged and taken in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adapter_folders
from lora_tui.adapters import registry
from lora_tui.adapters.metadata import Metadata, Source
from lora_tui.adapters.registry import Adapter
from lora_tui.workspace.layout import Workspace

NOW = 1_790_000_000.0  # what the app's clock says
DAY = 86_400.0
BASE = "Qwen/Qwen2.5-Coder-7B-Instruct"
SHAPES = {
    f"model.layers.{layer}.{name}": shape
    for layer in range(4)
    for name, shape in (("self_attn.q_proj", (96, 64)), ("self_attn.v_proj", (32, 64)), ("mlp.down_proj", (64, 128)))
}


def add(workspace: Workspace, name: str, version: str, *, seed: int = 0, r: int = 8, **about: Any) -> Adapter:
    """Register a version with random factors."""
    base = about.pop("base", BASE)
    metadata = Metadata(name=name, version=version, base=base, **about)
    return registry.add(workspace, metadata, _filled(seed, r, base))


def fill(workspace: Workspace) -> None:
    """coder in three versions, of which 1.1.0 is in production; rust; an import; a merge of three."""
    add(workspace, "rust", "1.0.0", seed=1, created=NOW - 21 * DAY, **_trained("rust@2", 0.941, 1.012, "rust", 210))
    add(workspace, "coder", "1.0.0", seed=2, created=NOW - 15 * DAY, **_trained("coder@1", 1.204, 1.377, "coder", 240))
    add(
        workspace,
        "coder",
        "1.1.0",
        seed=3,
        created=NOW - 6 * DAY,
        parents=("coder@1.0.0",),
        general_loss_before=2.31,
        general_loss=2.45,
        general_kl=0.031,
        **_trained("coder@2", 0.812, 0.934, "coder", 320),
    )
    note = "From a colleague; trained on their monorepo."
    add(workspace, "reviewer", "1.0.0", seed=4, r=4, created=NOW - 3 * DAY, note=note, licence="apache-2.0")
    add(
        workspace,
        "five",
        "1.0.0",
        seed=5,
        r=16,
        created=NOW - 2 * DAY,
        parents=("coder@1.1.0", "rust@1.0.0", "reviewer@1.0.0"),
        sources=(Source("coder@1.1.0", 0.5), Source("rust@1.0.0", 0.3), Source("reviewer@1.0.0", 0.2)),
        strategy="ties",
        strategy_settings={"density": 0.5, "space": "core"},
        errors={name: 0.01 * (1 + index % 7) for index, name in enumerate(SHAPES)},
        error=0.037,
    )
    add(
        workspace,
        "coder",
        "1.2.0",
        seed=6,
        created=NOW - 5 * 3600,
        parents=("coder@1.1.0",),
        general_loss_before=2.31,
        general_loss=2.33,
        general_kl=0.012,
        **_trained("coder@3", 0.774, 0.918, "coder", 360),
    )
    point(workspace)


def point(workspace: Workspace) -> None:
    """The names of coder's versions, and how they moved."""
    moves = [
        ("production", "coder@1.0.0", "", "the first one", NOW - 14 * DAY),
        ("production", "coder@1.1.0", "coder@1.0.0", "18 of 20 against 9", NOW - 5 * DAY),
        ("standby", "coder@1.0.0", "", "18 of 20 against 9", NOW - 5 * DAY),
        ("candidate", "coder@1.2.0", "", "less forgotten", NOW - 4 * 3600),
    ]
    entry = {
        "production": "coder@1.1.0",
        "standby": "coder@1.0.0",
        "candidate": "coder@1.2.0",
        "history": [
            {"time": when, "alias": alias, "version": version, "previous": previous, "why": why, "who": "someone"}
            for alias, version, previous, why, when in moves
        ],
    }
    (workspace.adapters / "aliases.json").write_text(json.dumps({"coder": entry}))


def damage(adapter: Adapter) -> None:
    """Flip one byte of the weights."""
    path = adapter.folder / "adapter_model.safetensors"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-20] ^= 0x40
    path.write_bytes(data)


def _trained(dataset: str, loss: float, eval_loss: float, profile: str, steps: int) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "loss": loss,
        "eval_loss": eval_loss,
        "profile": profile,
        "steps": steps,
        "seconds": steps * 4.1,
        "run": f"20260901-101010-train-{profile[:2]}{steps}",
        "tags": (profile,),
        "licence": "apache-2.0",
    }


def _filled(seed: int, r: int, base: str) -> Callable[[Path], None]:
    def fill(draft: Path) -> None:
        tensors = adapter_folders.factors(SHAPES, r, seed=seed)
        scratch = adapter_folders.write_adapter(
            draft / "made", tensors, r=r, lora_alpha=2 * r, base_model_name_or_path=base
        )
        for path in scratch.iterdir():
            path.rename(draft / path.name)
        scratch.rmdir()

    return fill
