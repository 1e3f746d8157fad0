"""Bases and adapters of this machine: one transformers worker for all sides of a base, over HTTP on loopback.

An adapter that was trained with tokens of its own has another tokenizer and other embeddings than its base: it gets a
worker to itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from lora_tui import __version__
from lora_tui.adapters import base_facts, registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.serving.process import HOST, Command, Process
from lora_tui.backends.hardware import gpus
from lora_tui.verify.asking import Identity
from lora_tui.verify.endpoints import digests, listing
from lora_tui.verify.endpoints.chat import Chat, Known
from lora_tui.verify.endpoints.naming import Named
from lora_tui.verify.endpoints.server import Patience, Server
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_LIBRARIES = ("torch", "transformers", "peft")
_TOKENIZER = "tokenizer.json"  # in an adapter's folder: it was trained with new tokens
BASE = ""  # as an adapter's label
_NO_ADAPTER = "the base alone"


class Side(msgspec.Struct, frozen=True):
    """A base, or an adapter on its base. `label` is BASE for the base alone."""

    name: str
    base: str  # a folder or a Hugging Face id
    label: str = BASE
    folder: Path | None = None
    content: str = ""  # what the adapter is known by

    @property
    def is_alone(self) -> bool:
        """Whether it cannot lie beside others of its base."""
        return self.folder is not None and (self.folder / _TOKENIZER).is_file()

    @property
    def worker(self) -> str:
        """Sides of one worker have the same."""
        place = base_facts.folder_of(self.base)
        shared = str(place.resolve()) if place is not None else self.base
        return f"{shared} {self.label}" if self.is_alone else shared

    def digest(self) -> str:
        """Of everything that determines its answers; "" where the base's or the adapter's files are not known."""
        place = base_facts.folder_of(self.base)
        base = digests.of_files(place) if place is not None else ""
        versions = [_version(name) for name in _LIBRARIES]
        places = ",".join(gpu.name for gpu in gpus()) or "cpu"
        return digests.of(
            "transformers", __version__, *versions, places, base, self.content if self.folder else _NO_ADAPTER
        )


def side(workspace: Workspace, named: Named) -> Side:
    """What a `base:` or `adapter:` means. Raises BadInput for an adapter that is not there.

    An adapter's base is the very commit that it was trained on, where that is on this machine.
    """
    if named.kind == "base":
        return Side(named.name, named.model)
    found = registry.find(workspace, named.model)
    said = found.metadata
    if not said.base:
        raise BadInput(f"it is not known which base {found.label} is for", fix="Add it again with --base.")
    place = base_facts.folder_of(said.base, said.base_revision)
    base = str(place) if place is not None else said.base
    return Side(f"adapter:{found.label}", base, found.label, found.folder, _content(said, found.folder))


def _content(said: Metadata, folder: Path) -> str:
    if said.weights_sha256 and said.config_sha256:
        return said.weights_sha256 + said.config_sha256
    return digests.of_files(folder)


class Worker:
    """One worker process and the sides that it answers for."""

    def __init__(self, number: int, sides: Sequence[Side], folder: Path) -> None:
        self._base = sides[0].base
        self._base_name = base_facts.short_name(self._base)
        self._adapters = {one.label: one for one in sides if one.folder is not None}
        name = re.sub(r"[^A-Za-z0-9._@-]+", "_", self._base_name)
        self.process = Process("transformers", self._command, folder / f"worker-{number}-{name}.log")

    @property
    def name(self) -> str:
        """What it loads: its base, and the adapters upon it."""
        return " with ".join(part for part in (self._base_name, ", ".join(self._adapters)) if part)

    async def start(self) -> None:
        """Wait until it answers. Raises LoraTuiError with its last line."""
        await self.process.start()

    def endpoint(self, one: Side, patience: Patience) -> Chat:
        """The endpoint of a side, once it has started."""
        fix = f"It is started again where it ended; its reason is in {self.process.log}."
        server = Server(one.name, f"http://{HOST}:{self.process.port}", patience, fix=fix)
        model = one.label or self._base_name

        async def find() -> Known:
            names = await listing.served(server, "/v1/models")
            listing.entry(server, names, model)
            identity = Identity(
                engine="transformers",
                model=model,
                version=_version("transformers"),
                digest=one.digest(),
                served=tuple(names),
                slots=1,  # it makes the tokens of several answers in turn
                pid=self.process.pid or 0,
            )
            return Known(identity, says=model)

        return Chat(one.name, server, "/v1/chat/completions", find)

    def _command(self, port: int) -> Command:
        words = [sys.executable, "-m", "lora_tui.worker", "serve", self._base]
        words += ["--name", self._base_name, "--port", str(port)]
        for label, one in self._adapters.items():
            words += ["--alone" if one.is_alone else "--adapter", f"{label}={one.folder}"]
        return Command(tuple(words), {"TOKENIZERS_PARALLELISM": "false"})


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"
