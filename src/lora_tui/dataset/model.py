"""What a dataset version is: rows in three splits and a manifest that says where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.sources.model import ToolCall

Origin = Literal["session", "commit", "synthetic"]

TOOLS_FILE = "tools.json"  # toolset -> OpenAI's `tools` array; they are long, and the same for every row

SPLITS = ("train", "validation", "test")


class RowMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chat message as TRL's conversational format has it; `weight` 0 keeps it out of the loss."""

    role: str
    content: str = ""
    reasoning_content: str = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    weight: int = 1


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of train.jsonl: the messages, and what is known about them."""

    id: str  # hash of the messages
    messages: list[RowMessage]
    language: str
    source: str
    session: str  # native id
    model: str = ""  # which model wrote the answers
    example: int = 0  # id in the workspace it was built in
    shape: str = "agent"  # or 'plain'
    origin: Origin = "session"
    licence: str = ""  # SPDX id of the code, where known
    toolset: str = ""  # the tools it had: a key of tools.json beside the splits


class Rejected(msgspec.Struct, frozen=True):
    """One line of rejected.jsonl; `about` says which file, tool or other example `reason` speaks of."""

    id: str
    example: int
    reason: str
    request: str
    about: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """manifest.toml of one version."""

    name: str
    version: int
    created: float  # epoch seconds
    hash: str  # of the three split files
    seed: int
    split: tuple[int, int, int]  # train, validation, test in percent
    split_rule: str
    languages: tuple[str, ...]
    rows: dict[str, int]  # per split
    by_language: dict[str, int]
    by_source: dict[str, int]
    by_model: dict[str, int]
    left_out: dict[str, int]  # reason -> examples; rejected.jsonl lists them
    files: dict[str, str]  # file -> SHA-256
    profile: str = ""
    shape: str = "agent"
    form: str = ""  # of the plain rows' edits
    tool_target: str = "as-recorded"  # whose tool names the agent rows speak
    cap: int = 0  # characters kept of a tool's output; 0: all
    context: int = 0
    capture: str = ""
    capture_hash: str = ""
    reasoning: bool = True
    outcomes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # that the selection asked for; by_model says whose answers it has
    sources: tuple[str, ...] = ()
    synthetic_share: float = 1.0
    by_shape: dict[str, int] = {}
    by_origin: dict[str, int] = {}
    by_licence: dict[str, int] = {}
    findings: dict[str, int] = {}  # redaction rule -> how often it applied in the rows
    tables: dict[str, str] = {}  # versions of the rules it was made with

    @property
    def shaping(self) -> str:
        """How the examples became rows, in words."""
        agent = [f"tools of {self.tool_target}" if self.tool_target != "as-recorded" else "tools as recorded"]
        agent += [f"outputs up to {self.cap} characters"] if self.cap else []
        agent += [f"{self.context} characters of context"] if self.context else []
        agent += [f"prompt and tools of {self.capture}"] if self.capture else []
        told = [", ".join(agent)] if self.shape == "agent" else []
        told += [f"edits as {self.form}"] if self.by_shape.get("plain") and self.form else []
        return "; ".join(told)


class Dataset(msgspec.Struct, frozen=True):
    """One immutable version on disk."""

    folder: Path
    manifest: Manifest

    @property
    def label(self) -> str:
        """How people and job files name it: rust@3."""
        return f"{self.manifest.name}@{self.manifest.version}"
