"""The card (README.md) of an exported model, with the front matter that Hugging Face reads."""

from __future__ import annotations

from pathlib import Path

import yaml

from lora_tui.adapters import base_facts
from lora_tui.workspace import atomic


def write_card(folder: Path, name: str, base: Path, base_name: str, adapter: str, checked: str) -> None:
    """Write README.md of a merged model; the licence is the base's where its own card names one."""
    front: dict[str, object] = {
        "base_model": base_name,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
    }
    front["tags"] = ["lora", "merged"] if adapter else ["text-generation"]
    if licence := base_facts.licence(base):
        front["license"] = licence
    of = f"the LoRA adapter {adapter} merged into `{base_name}`" if adapter else f"a copy of `{base_name}`"
    body = f"# {name}\n\n{of[0].upper()}{of[1:]}, written by lora-tui.\n\n{checked}\n"
    atomic.write_text(folder / "README.md", f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{body}")
