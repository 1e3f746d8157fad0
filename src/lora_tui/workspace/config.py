"""config.toml: the person's settings. Secrets are never among them."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
from msgspec import Meta

from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace


class Redact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[redact]: which rules for personal data are off, by id (`lora-tui redact rules`). Secrets always are on."""

    off: tuple[str, ...] = ()


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cost]: what an hour of this machine costs, rented or in electricity. What is left out stays unknown."""

    price_per_hour: Annotated[float, Meta(ge=0.0)] | None = None  # rental, of the whole machine
    price_per_kwh: Annotated[float, Meta(ge=0.0)] | None = None
    watts: Annotated[float, Meta(ge=0.0)] | None = None  # the machine draws while it trains
    currency: str = ""  # "EUR", shown behind a price


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[hosts.NAME]: a machine of one's own that is reached by SSH. What ssh's own config says of it holds too."""

    address: str  # a host name, or an alias of ssh's config
    port: Annotated[int, Meta(ge=0, le=65535)] = 0  # 0: as ssh's config says, else 22
    user: str = ""  # empty: as ssh's config says, else the login name
    python: str = ""  # an interpreter there that has the engine; empty: an environment is made for it
    folder: str = "~/.cache/lora-tui"  # where jobs and what they need go
    price_per_hour: Annotated[float, Meta(ge=0.0)] = 0.0  # USD, of the whole machine
    gpus: Annotated[int, Meta(ge=0)] = 0  # that a run trains on; 0: one, or the processor


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be set in <workspace>/config.toml; every key has a default."""

    author: str = ""  # whose name labels carry; the login name when empty
    theme: str = "lora-dark"
    editor: str = ""  # $VISUAL, $EDITOR, else vi when empty
    unsloth_python: str = ""  # the Python of the environment that has Unsloth; see `lora-tui doctor`
    redact: Redact = Redact()
    cost: Cost = Cost()
    hosts: dict[str, Host] = {}
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
