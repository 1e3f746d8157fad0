"""A server of one process that takes adapters in and out over HTTP, by the two routes that vLLM began."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.adapters.serving.engine import BASE, Setting, Target, Version
from lora_tui.adapters.serving.process import Command, Process
from lora_tui.adapters.serving.reading import error_words
from lora_tui.workspace.errors import LoraTuiError


class OneProcess:
    """An `Engine`, but for how its process is started."""

    kind: str
    name: str  # as people write it

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._versions: dict[str, Version] = {}
        log = setting.folder / "logs" / f"{self.kind}.log"
        self._process = Process(self.kind, self._command, log, port=setting.port, say=setting.say)

    def _command(self, port: int) -> Command:
        raise NotImplementedError

    @property
    def _base_name(self) -> str:
        """What the base alone is asked for by."""
        return self._setting.base_name

    def _has_loaded(self, status: int, body: bytes) -> bool:
        """Whether it has the adapter, by its answer."""
        return status == 200

    async def start(self, versions: Sequence[Version]) -> None:
        """Start with these and wait until they answer. Raises LoraTuiError."""
        self._versions = {version.label: version for version in versions}
        await self._process.start()

    async def load(self, version: Version) -> None:
        """Have it load a version beside the others. Raises LoraTuiError with its reason."""
        if version.label in self._versions:
            return
        await self._process.wait_ready()
        data = {"lora_name": version.label, "lora_path": str(version.folder)}
        try:
            status, body = await self._process.pool.ask("POST", "/v1/load_lora_adapter", data)
        except ConnectionError as error:
            raise LoraTuiError(f"{self.name} broke off while it loaded {version.label}: {error}") from error
        if not self._has_loaded(status, body):
            raise LoraTuiError(
                f"{self.name} does not load {version.label}: {error_words(body)}", where=str(version.folder)
            )
        self._versions[version.label] = version

    async def unload(self, label: str) -> None:
        """The name is forgotten; requests that run are answered to their end."""
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
        return Target(self._process.pool, label or self._base_name, self._process.state)

    def processes(self) -> Sequence[Process]:
        """The one."""
        return [self._process]

    async def stop(self) -> None:
        """End it."""
        await self._process.stop()
