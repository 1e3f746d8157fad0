"""transformers: the engine that trained the adapters answers, in a worker process of its own, over HTTP.

For machines without vLLM or llama.cpp: exact, and slow beside them. Adapters come and go without a new start.
"""

from __future__ import annotations

import sys

from lora_tui.adapters.serving.one_process import OneProcess
from lora_tui.adapters.serving.process import Command


class Transformers(OneProcess):
    """An `Engine`."""

    kind = "transformers"
    name = "transformers"

    def _command(self, port: int) -> Command:
        words = [sys.executable, "-m", "lora_tui.worker", "serve", self._setting.base]
        words += ["--name", self._setting.base_name, "--port", str(port)]
        for version in self._versions.values():
            words += ["--adapter", f"{version.label}={version.folder}"]
        return Command((*words, *self._setting.options), {"TOKENIZERS_PARALLELISM": "false"})
