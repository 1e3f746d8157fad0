"""What every engine can do, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from lora_tui.adapters.serving.process import Process, State
from lora_tui.adapters.serving.upstream import Pool

BASE = ""  # as a version's label: the base without an adapter


class Version(msgspec.Struct, frozen=True):
    """An adapter version that is to be served: `coder@1.4.0`, its folder, its rank."""

    label: str
    folder: Path
    r: int


class Setting(msgspec.Struct, frozen=True):
    """What an engine is started with."""

    base: str  # a folder, a Hugging Face id, for llama.cpp also a GGUF file
    base_name: str  # how the base is called by clients
    folder: Path  # of the served set: logs, state
    cache: Path  # for converted files
    program: str = ""  # the engine's own command; else looked for
    options: tuple[str, ...] = ()  # further words for it
    slots: int = 4  # adapters that may be loaded at once
    max_rank: int = 16
    context: int = 0  # tokens of one request; 0: the engine's own choice
    parallel: int = 0  # requests answered at once; 0: the engine's own choice
    port: int = 0  # of an engine that clients ask directly; 0: any
    say: Callable[[str], None] = lambda _: None


class Target(msgspec.Struct, frozen=True):
    """Where a version answers, and under which name."""

    pool: Pool
    model: str
    state: State

    @property
    def is_ready(self) -> bool:
        """Whether it can be asked now."""
        return self.state == "ready"


class Engine(Protocol):
    """Base and adapters in memory. Every version has a name of its own and is loaded beside the others."""

    kind: str

    async def start(self, versions: Sequence[Version]) -> None:
        """Start with these and wait until they answer. Raises LoraTuiError."""
        ...

    async def load(self, version: Version) -> None:
        """Bring in one more; those that are there go on undisturbed. Raises LoraTuiError with the engine's reason."""
        ...

    async def unload(self, label: str) -> None:
        """Let one go; unknown ones are ignored."""
        ...

    async def means(self, name: str, label: str) -> None:
        """A name means a version now. Nothing to most engines, which know versions only. Raises LoraTuiError."""
        ...

    def target(self, label: str) -> Target | None:
        """Where it answers, BASE being the base; None where it is not loaded."""
        ...

    def processes(self) -> Sequence[Process]:
        """What runs for it."""
        ...

    async def stop(self) -> None:
        """End everything."""
        ...
