"""Which model a profile's `base` means, and how it is told from another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

DEMO = "demo"

# What decides how a conversation becomes tokens, and where an answer ends. Weights do not.
_DECIDING = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "config.json",
)


def demo_base(workspace: Workspace) -> Path:
    """Where `lora-tui demo` puts its tiny base model."""
    return workspace.root / "demo" / "base"


def resolve(workspace: Workspace, profile: Profile) -> str:
    """The base as a folder's path or a Hugging Face id. Raises BadInput for a folder that is no model."""
    return find(workspace, profile.model.base)


def find(workspace: Workspace, base: str) -> str:
    """What a person named ("demo", a folder, a Hugging Face id) as a path or an id. Raises BadInput."""
    if not base.strip():
        raise BadInput("which model? The name is empty", fix="Give a folder or a Hugging Face id.")
    if base == DEMO:
        if not (demo_base(workspace) / "config.json").is_file():
            raise BadInput("the demo's tiny base model has not been made yet", fix="Run `lora-tui demo` once.")
        return str(demo_base(workspace))
    folder = Path(os.path.expanduser(base))  # a `~name` that is nobody stays as it is
    if folder.is_absolute() or base.startswith((".", "~")) or folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(
                "this folder holds no model: it has no config.json",
                where=str(folder),
                fix="Give a folder as save_pretrained writes it, or a Hugging Face id.",
            )
        return str(folder.absolute())
    return base


def fingerprint(base: str) -> str:
    """What the tokenizer and template of a resolved base are known by: their SHA-256, or the Hub's commit.

    A Hugging Face id that is not on this machine yet is known by its name.
    """
    folder = Path(base)
    if not folder.is_dir():
        return _commit(base) or base
    found = hashlib.sha256()
    templates = sorted(path for path in folder.glob("chat_template*") if path.is_file())
    more = folder / "additional_chat_templates"
    templates += sorted(path for path in more.glob("*") if path.is_file())
    for path in [*(folder / name for name in _DECIDING), *templates]:
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            found.update(f"{path.relative_to(folder)}\0{content}\n".encode())
    return found.hexdigest()


def _commit(identity: str) -> str:
    """The commit of a model in the Hugging Face cache, whose layout is models--OWNER--NAME/refs/main."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    try:
        commit = (cache / f"models--{identity.replace('/', '--')}" / "refs" / "main").read_text().strip()
    except OSError:
        return ""
    return f"{identity}@{commit}" if commit else ""
