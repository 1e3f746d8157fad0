"""transformers: the engine that trained the adapters answers, in a worker process of its own, over HTTP.

For machines without vLLM or llama.cpp: exact, and slow beside them. Adapters come and go without a new start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lora_tui.adapters.serving.engine import BASE, Setting, Target, Version
from lora_tui.adapters.serving.process import Command, Process
from lora_tui.adapters.serving.reading import error_words
from lora_tui.workspace.errors import LoraTuiError


class Transformers:
    """An `Engine`."""

    kind = "transformers"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._versions: dict[str, Version] = {}
        self._process = Process(
            "transformers",
            self._command,
            setting.folder / "logs" / "transformers.log",
            port=setting.port,
            say=setting.say,
        )

    async def start(self, versions: Sequence[Version]) -> None:
        """Start with these and wait until they answer. Raises LoraTuiError."""
        self._versions = {version.label: version for version in versions}
        await self._process.start()

    async def load(self, version: Version) -> None:
        """Have the worker load it beside the others. Raises LoraTuiError with its reason."""
        if version.label in self._versions:
            return
        await self._process.wait_ready()
        data = {"lora_name": version.label, "lora_path": str(version.folder)}
        try:
            status, body = await self._process.pool.ask("POST", "/v1/load_lora_adapter", data)
        except ConnectionError as error:
            raise LoraTuiError(f"transformers broke off while it loaded {version.label}: {error}") from error
        if status != 200:
            raise LoraTuiError(
                f"transformers does not load {version.label}: {error_words(body)}", where=str(version.folder)
            )
        self._versions[version.label] = version

    async def unload(self, label: str) -> None:
        """Have the worker let go of it when nothing is answered with it any more."""
        if self._versions.pop(label, None) is not None and self._process.state == "ready":
            try:
                await self._process.pool.ask("POST", "/v1/unload_lora_adapter", {"lora_name": label})
            except ConnectionError:
                pass  # it starts again without it

    async def means(self, name: str, label: str) -> None:
        """It knows versions only."""

    def target(self, label: str) -> Target | None:
        """Where it answers."""
        if label != BASE and label not in self._versions:
            return None
        return Target(self._process.pool, label or self._setting.base_name, self._process.state)

    def processes(self) -> Sequence[Process]:
        """The one."""
        return [self._process]

    async def stop(self) -> None:
        """End it."""
        await self._process.stop()

    def _command(self, port: int) -> Command:
        words = [sys.executable, "-m", "lora_tui.worker", "serve", self._setting.base]
        words += ["--name", self._setting.base_name, "--port", str(port)]
        for version in self._versions.values():
            words += ["--adapter", f"{version.label}={version.folder}"]
        return Command((*words, *self._setting.options), {"TOKENIZERS_PARALLELISM": "false"})
