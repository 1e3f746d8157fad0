"""llama.cpp: one process for the base and one for each adapter version.

Its prompt cache ignores the adapter (ggml-org/llama.cpp#26207): one process with several adapters answers wrongly
unless that cache is off, and without it an agent's long prompt is read anew at every turn. The base's weights are
mapped from one file, so that further processes cost their cache only (on a GPU each holds its own copy).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lora_tui.adapters.exporting.processor import threads
from lora_tui.adapters.serving import gguf_files
from lora_tui.adapters.serving.engine import BASE, Setting, Target, Version
from lora_tui.adapters.serving.process import HOST, Command, Process
from lora_tui.workspace.errors import BadInput

CONTEXT = 16_384  # tokens of one request where the model was made for more and nothing is asked for
_PARALLEL = 4  # requests answered at once by one process


class LlamaCpp:
    """An `Engine`."""

    kind = "llama-cpp"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._program = program(setting.program)
        self._processes: dict[str, Process] = {}
        self._base = Path()

    async def start(self, versions: Sequence[Version]) -> None:
        """Convert what is not converted yet, start a process for each and wait until they answer."""
        self._base = await asyncio.to_thread(gguf_files.base_file, self._setting.base, self._setting.cache)
        await self._start(BASE, ())
        for version in versions:
            await self.load(version)

    async def load(self, version: Version) -> None:
        """Start a further process. Raises LoraTuiError with the last line of its log."""
        if version.label in self._processes:
            return
        file = await asyncio.to_thread(gguf_files.adapter_file, version.folder, self._setting.base, self._setting.cache)
        await self._start(version.label, (str(file),))

    async def unload(self, label: str) -> None:
        """End its process."""
        process = self._processes.pop(label, None)
        if process is not None:
            await process.stop()

    async def means(self, name: str, label: str) -> None:
        """It knows versions only."""

    def target(self, label: str) -> Target | None:
        """Where it answers; the process answers to any name."""
        process = self._processes.get(label)
        return Target(process.pool, label or self._setting.base_name, process.state) if process is not None else None

    def processes(self) -> Sequence[Process]:
        """One per version."""
        return list(self._processes.values())

    async def stop(self) -> None:
        """End them all."""
        await asyncio.gather(*(process.stop() for process in self._processes.values()))
        self._processes.clear()

    async def _start(self, label: str, loras: tuple[str, ...]) -> None:
        name = label or self._setting.base_name
        log = self._setting.folder / "logs" / f"llama-{re.sub(r'[^A-Za-z0-9._@-]+', '_', name)}.log"
        process = Process(
            f"llama.cpp with {name}",
            lambda port: self._command(port, name, loras),
            log,
            port=self._setting.port if label == BASE else 0,
            say=self._setting.say,
        )
        try:
            await process.start()
        except BaseException:
            await process.stop()
            raise
        self._processes[label] = process

    def _command(self, port: int, name: str, loras: tuple[str, ...]) -> Command:
        if not self._program:
            own = (sys.executable, "-m", "lora_tui.adapters.serving.llama_server", str(port), name, str(self._base))
            context = {"LORA_TUI_CONTEXT": str(self._context()), "LORA_TUI_PARALLEL": str(self._parallel())}
            return Command((*own, *loras), context)
        words = (self._program, "--host", HOST, "--port", str(port), "--model", str(self._base), "--alias", name)
        adapters = tuple(word for path in loras for word in ("--lora", path))
        room = ("--ctx-size", str(self._context()), "--parallel", str(self._parallel()), "--metrics", "--jinja")
        few = ("--threads", str(threads())) if threads() < (os.cpu_count() or 1) else ()  # it counts the machine's
        return Command((*words, *adapters, *room, *few, *self._setting.options))

    def _parallel(self) -> int:
        return self._setting.parallel or _PARALLEL

    def _context(self) -> int:
        """Tokens for all requests together, which llama.cpp divides among them."""
        longest = gguf_files.context_length(self._setting.base) or CONTEXT
        return (self._setting.context or min(longest, CONTEXT)) * self._parallel()


def program(named: str) -> str:
    """llama-server: `named`, else on the PATH; "" for the one in xllamacpp. Raises BadInput where there is neither."""
    found = shutil.which(named or "llama-server")
    if found is not None:
        return found
    if named:
        raise BadInput(f"there is no {named}", fix="Give --program the path of llama-server.")
    if importlib.util.find_spec("xllamacpp") is None:
        raise BadInput(
            "llama.cpp is not here: no llama-server on the PATH, and xllamacpp is not installed",
            fix="Put llama-server on the PATH, or: pip install 'lora-tui[llama-cpp]'",
        )
    return ""
