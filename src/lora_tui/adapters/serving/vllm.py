"""vLLM from the user's own environment: one process, adapters loaded and unloaded over HTTP.

Its own command serves (`vllm serve`); lora-tui never imports it. Behaviour measured with vLLM 0.32.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import msgspec

from lora_tui.adapters.exporting.vllm import RANKS
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.adapters.serving import blank
from lora_tui.adapters.serving.engine import BASE, Setting, Target, Version
from lora_tui.adapters.serving.process import HOST, Command, Process
from lora_tui.adapters.serving.reading import error_words
from lora_tui.backends.hardware import gpus
from lora_tui.workspace.errors import BadInput, LoraTuiError

_ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",  # without it the routes to load and unload do not exist
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_REFUSED = ("use_dora", "modules_to_save")  # vLLM answers 500 to these, after it has tried


class Vllm:
    """An `Engine`."""

    kind = "vllm"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._program = program(setting.program)
        self._versions: dict[str, Version] = {}
        self._blank = setting.folder / "blank"
        self._on_cpu = not gpus()
        self._process = Process(
            "vllm", self._command, setting.folder / "logs" / "vllm.log", port=setting.port, say=setting.say
        )

    async def start(self, versions: Sequence[Version]) -> None:
        """Start with these and wait until they answer. Raises LoraTuiError."""
        for version in versions:
            check(version, self._setting.max_rank)
            self._versions[version.label] = version
        if self._on_cpu and versions:
            blank.write(self._blank, versions[0].folder)
        await self._process.start()

    async def load(self, version: Version) -> None:
        """POST /v1/load_lora_adapter, which validates before it publishes the name. Raises LoraTuiError."""
        if version.label in self._versions:
            return
        check(version, self._setting.max_rank)
        await self._process.wait_ready()
        data = {"lora_name": version.label, "lora_path": str(version.folder)}
        try:
            status, body = await self._process.pool.ask("POST", "/v1/load_lora_adapter", data)
        except ConnectionError as error:
            raise LoraTuiError(f"vLLM broke off while it loaded {version.label}: {error}") from error
        if status != 200 and "already been loaded" not in error_words(body):
            raise LoraTuiError(f"vLLM does not load {version.label}: {error_words(body)}", where=str(version.folder))
        self._versions[version.label] = version

    async def unload(self, label: str) -> None:
        """POST /v1/unload_lora_adapter: the name is forgotten, requests that run are answered to their end."""
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
        base = blank.NAME if self._on_cpu and self._versions else self._setting.base_name
        return Target(self._process.pool, label or base, self._process.state)

    def processes(self) -> Sequence[Process]:
        """The one."""
        return [self._process]

    async def stop(self) -> None:
        """End it."""
        await self._process.stop()

    def _command(self, port: int) -> Command:
        setting = self._setting
        words = [
            *(self._program, "serve", setting.base, "--served-model-name", setting.base_name),
            *("--host", HOST, "--port", str(port), "--enable-lora", "--max-lora-rank", str(setting.max_rank)),
            # one more than there are adapters: on a CPU a base's request gets the last slot's (vLLM #48421)
            *("--max-loras", str(setting.slots + 1), "--max-cpu-loras", str(setting.slots + 1)),
        ]
        if setting.context:
            words += ["--max-model-len", str(setting.context)]
        if setting.parallel:
            words += ["--max-num-seqs", str(setting.parallel)]
        modules = {version.label: version.folder for version in self._versions.values()}
        if self._on_cpu and modules:
            modules[blank.NAME] = self._blank
        if modules:
            words.append("--lora-modules")
        for name, folder in modules.items():
            words.append(msgspec.json.encode({"name": name, "path": str(folder)}).decode())
        return Command((*words, *setting.options), _ENVIRONMENT)


def program(named: str) -> str:
    """vLLM's command: `named`, else of $VLLM_PYTHON's environment, else on the PATH. Raises BadInput."""
    python = os.environ.get("VLLM_PYTHON", "")
    beside = os.path.join(os.path.dirname(python), "vllm") if python else ""
    found = shutil.which(named or beside or "vllm")
    if found is None:
        where = named or beside or "vllm on the PATH"
        raise BadInput(
            f"vLLM is not here: {where}",
            fix="Install it into an environment of its own and give --program PATH/bin/vllm, or take another --engine.",
        )
    return found


def max_rank(ranks: Sequence[int]) -> int:
    """The least --max-lora-rank that takes them all. Raises BadInput."""
    for allowed in RANKS:
        if allowed >= max(ranks, default=1):
            return allowed
    raise BadInput(f"r {max(ranks)} is more than vLLM takes", fix=f"The most is {RANKS[-1]}.")


def check(version: Version, most: int) -> None:
    """Raises BadInput for what vLLM refuses, before it is asked."""
    if version.r > most:
        raise BadInput(
            f"{version.label} has r {version.r}, and this server was started for at most {most}",
            fix=f"Start it again with --max-lora-rank {max_rank([version.r])}.",
        )
    with PeftFolder(version.folder, version.label) as opened:
        for said in opened.obstacles():
            if said.startswith(_REFUSED):
                raise BadInput(f"vLLM does not serve {version.label}: {said}", fix="Export it merged and serve that.")
