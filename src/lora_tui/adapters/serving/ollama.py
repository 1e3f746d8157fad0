"""Ollama, which the user runs: a new model beside the old one for each version, and the alias moved.

It cannot change a model's adapter: `coder@1.4.0` becomes the model `lora-tui/coder:1.4.0`, the base's GGUF with the
adapter's laid over it, and `coder` is a copy of the one that is in production, for clients that ask Ollama itself; a
model of that name that is none of these copies is left alone. Models stay there when they are let go: only their
memory is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lora_tui.adapters.exporting.ollama_api import Ollama as Api
from lora_tui.adapters.serving import gguf_files
from lora_tui.adapters.serving.engine import BASE, Setting, Target, Version
from lora_tui.adapters.serving.process import Process
from lora_tui.adapters.serving.upstream import Pool
from lora_tui.workspace.errors import BadInput, LoraTuiError

_OWN = "lora-tui/"  # a namespace: models that a person made are never replaced


class Ollama:
    """An `Engine`."""

    kind = "ollama"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        with Api() as api:
            self._url = api.url
        address = urlsplit(self._url)
        if address.scheme != "http":
            raise BadInput("Ollama is served over plain http only", where=self._url, fix="Set $OLLAMA_HOST to its own.")
        self._pool = Pool(str(address.hostname), address.port or 80)
        self._models: dict[str, str] = {}  # label -> its name at Ollama
        self._base_digest = ""

    async def start(self, versions: Sequence[Version]) -> None:
        """Make the models that are not there yet. Raises LoraTuiError where Ollama does not answer or refuses."""
        await asyncio.to_thread(self._make_base)
        for version in versions:
            await self.load(version)

    async def load(self, version: Version) -> None:
        """Make its model, unless it is there. Raises LoraTuiError with Ollama's reason."""
        if version.label not in self._models:
            self._models[version.label] = await asyncio.to_thread(self._make, version)

    async def unload(self, label: str) -> None:
        """Give its memory back."""
        model = self._models.pop(label, None)
        if model is not None:
            await asyncio.to_thread(self._let_go, model)

    async def means(self, name: str, label: str) -> None:
        """At Ollama too `coder` is a version's model. Raises LoraTuiError where that is another model."""
        await asyncio.to_thread(self._copy, self._models[label], name)

    def target(self, label: str) -> Target | None:
        """Where it answers."""
        model = self._models.get(label)
        return Target(self._pool, model, "ready") if model is not None else None

    def processes(self) -> Sequence[Process]:
        """None of ours."""
        return []

    async def stop(self) -> None:
        """Ollama goes on; its connections are closed."""
        self._pool.close()

    def _make_base(self) -> None:
        with Api() as api:
            api.version()
            self._setting.say("bringing the base to Ollama")
            path = gguf_files.base_file(self._setting.base, self._setting.cache)
            self._base_digest = api.upload(path, lambda done, total: None)
            self._models[BASE] = self._create(api, _OWN + self._setting.base_name, None)

    def _make(self, version: Version) -> str:
        file = gguf_files.adapter_file(version.folder, self._setting.base, self._setting.cache)
        with Api() as api:
            return self._create(api, _OWN + version.label.replace("@", ":"), file)

    def _create(self, api: Api, model: str, adapter: Path | None) -> str:
        """Made anew also where it is there: the blobs are, and it may be another's of the same name."""
        fields: dict[str, object] = {"files": {"model.gguf": self._base_digest}}
        if adapter is not None:
            fields["adapters"] = {"adapter.gguf": api.upload(adapter, lambda done, total: None)}
        api.create(model, fields, lambda status: None)
        return model

    def _copy(self, model: str, name: str) -> None:
        with Api() as api:
            there = api.models()
            ours = {digest for one, digest in there.items() if one.startswith(f"{_OWN}{name}:")}
            if there.get(f"{name}:latest", "") not in {"", *ours}:
                raise LoraTuiError(
                    f"Ollama has a model {name} that was not made here",
                    fix=f"Remove it to free the name: ollama rm {name}",
                )
            api.copy(model, name)

    def _let_go(self, model: str) -> None:
        with contextlib.suppress(LoraTuiError), Api() as api:
            api.unload(model)
