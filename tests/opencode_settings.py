"""Settings of opencode as people have them, and specialists to put into them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lora_tui.adapters import registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.workspace.layout import Workspace

COMMENTED = """// my settings
{
  "$schema": "https://opencode.ai/config.json",
  /* the model I like */
  "model": "anthropic/claude-sonnet-5", // for now
  "provider": {
    // at work
    "proxy": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "https://proxy.example/v1", "apiKey": "{env:PROXY_KEY}" },
      "models": { "large": {} }, // the only one
    },
    // "old": { "npm": "x" },
  },
  "permission": {"bash": {"*": "ask"}},
  "mcp": {},
}
"""
FILES: dict[str, bytes] = {
    "comments and trailing commas": COMMENTED.encode(),
    "without $schema": b'{\n    "theme": "x",\n    "agent": {"review": {"mode": "subagent"}}\n}',
    "empty object": b"{}\n",
    "one line": b'{"theme":"x","enabled_providers":["anthropic"]}',
    "lines of Windows, tabs and a mark": b'\xef\xbb\xbf{\r\n\t"theme": "x", // dark\r\n\t"mcp": {}\r\n}\r\n',
    "shape of 2": b'{\n  "providers": {\n    "mine": {"package": "aisdk:x"} // mine\n  },\n  "agents": {}\n}\n',
    "only a comment": b"// nothing yet",
    "empty file": b"",
}


def add_specialist(workspace: Workspace, name: str, profile: str, base: Path) -> None:
    """Register a small adapter; its base says that it takes 16,384 tokens."""
    base.mkdir(exist_ok=True, parents=True)
    (base / "config.json").write_text(json.dumps({"max_position_embeddings": 16_384}))

    def fill(draft: Path) -> None:
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
        (draft / "adapter_config.json").write_text(json.dumps(config))
        key = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
        tensors = {key.format("A"): np.ones((2, 4), "f"), key.format("B"): np.ones((4, 2), "f")}
        save_file(tensors, draft / "adapter_model.safetensors", metadata={"format": "pt"})

    registry.add(workspace, Metadata(name=name, profile=profile, base=str(base)), fill)
