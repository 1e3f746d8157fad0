"""config.toml: the person's settings. Secrets are never among them."""

from __future__ import annotations

import os

import msgspec

from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace


class Redact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[redact]: which rules for personal data are off, by id (`lora-tui redact rules`). Secrets always are on."""

    off: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set in <workspace>/config.toml; every key has a default."""

    author: str = ""  # whose name labels carry; the login name when empty
    theme: str = "lora-dark"
    editor: str = ""  # $VISUAL, $EDITOR, else vi when empty
    redact: Redact = Redact()
    keymap: dict[str, str] = {}  # action id -> keys, as in "sessions.accept" = "a,y"
    languages: tuple[str, ...] = (
        "rust",
        "typescript",
        "python",
        "ruby",
        "swift",
        "go",
        "javascript",
        "shell",
        "java",
    )

    @property
    def labeller(self) -> str:
        """The name that labels carry."""
        return self.author or os.environ.get("USER") or os.environ.get("LOGNAME") or "someone"


def load_config(workspace: Workspace) -> Config:
    """The workspace's settings, or the defaults. Raises BadInput with the key and line of a mistake."""
    return toml.load(workspace.config, Config) if workspace.config.is_file() else Config()
