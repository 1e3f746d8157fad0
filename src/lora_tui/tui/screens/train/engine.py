"""Whether the training engine is installed, found out without importing it."""

from __future__ import annotations

import importlib.util

from lora_tui.workspace.errors import BadInput

_PARTS = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


def missing() -> BadInput | None:
    """What to tell the person when a part of the engine is not there."""
    gone = [name for name in _PARTS if importlib.util.find_spec(name) is None]
    if not gone:
        return None
    return BadInput(
        f"the training engine is not installed: {', '.join(gone)} {'is' if len(gone) == 1 else 'are'} missing",
        fix="Install it beside lora-tui with: pip install 'lora-tui[train]'",
    )
