"""Which model a profile's `base` means."""

from __future__ import annotations

from pathlib import Path

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

DEMO = "demo"


def demo_base(workspace: Workspace) -> Path:
    """Where `lora-tui demo` puts its tiny base model."""
    return workspace.root / "demo" / "base"


def resolve(workspace: Workspace, profile: Profile) -> str:
    """The base as a folder's path or a Hugging Face id. Raises BadInput for a folder that is no model."""
    base = profile.model.base
    if base == DEMO:
        if not (demo_base(workspace) / "config.json").is_file():
            raise BadInput("the demo's tiny base model has not been made yet", fix="Run `lora-tui demo` once.")
        return str(demo_base(workspace))
    folder = Path(base).expanduser()
    if folder.is_absolute() or base.startswith((".", "~")):
        if not (folder / "config.json").is_file():
            raise BadInput("this folder holds no model: it has no config.json", where=str(folder))
        return str(folder.absolute())
    return base
