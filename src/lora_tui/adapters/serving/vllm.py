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
from lora_tui.adapters.serving.engine import Setting, Version
from lora_tui.adapters.serving.one_process import OneProcess
from lora_tui.adapters.serving.process import HOST, Command
from lora_tui.adapters.serving.reading import error_words
from lora_tui.backends.hardware import gpus
from lora_tui.workspace.errors import BadInput

_ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",  # without it the routes to load and unload do not exist
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_REFUSED = ("use_dora", "modules_to_save")  # vLLM answers 500 to these, after it has tried


class Vllm(OneProcess):
    """An `Engine`."""

    kind = "vllm"
    name = "vLLM"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._program = program(setting.program)
        self._blank = setting.folder / "blank"
        self._on_cpu = not gpus()

    @property
    def _base_name(self) -> str:
        return blank.NAME if self._on_cpu and self._versions else self._setting.base_name

    def _has_loaded(self, status: int, body: bytes) -> bool:
        return status == 200 or "already been loaded" in error_words(body)

    async def start(self, versions: Sequence[Version]) -> None:
        """Start with these and wait until they answer. Raises LoraTuiError."""
        for version in versions:
            check(version, self._setting.max_rank)
        if self._on_cpu and versions:
            blank.write(self._blank, versions[0].folder)
        await super().start(versions)

    async def load(self, version: Version) -> None:
        """Have it load a version, which it validates before it publishes the name. Raises LoraTuiError."""
        check(version, self._setting.max_rank)
        await super().load(version)

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
