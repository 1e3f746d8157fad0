"""`python -m lora_tui.adapters.serving.llama_server PORT NAME MODEL.gguf [LORA.gguf]`: llama.cpp's own HTTP server.

It is the one inside the wheel `xllamacpp`, for machines without a `llama-server`; a process of its own, because it
ends the process when it fails. SIGTERM ends it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from lora_tui.adapters.exporting.processor import threads
from lora_tui.workspace.errors import BadInput


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM; exit code 1 when the files cannot be loaded, with the reason above on stderr."""
    port, name, model, *loras = arguments
    try:
        import xllamacpp
    except ImportError:
        raise BadInput("xllamacpp is not installed", fix="pip install 'lora-tui[llama-cpp]'") from None
    setting = xllamacpp.CommonParams()
    setting.hostnames, setting.port = ["127.0.0.1"], int(port)
    setting.model.path, setting.model_alias = model, {name}
    setting.n_ctx = int(os.environ.get("LORA_TUI_CONTEXT", "0"))
    setting.n_parallel = int(os.environ.get("LORA_TUI_PARALLEL", "4"))
    setting.cpuparams.n_threads = setting.cpuparams_batch.n_threads = threads()
    setting.endpoint_metrics = setting.endpoint_slots = setting.endpoint_props = True
    setting.warmup = setting.ui = False
    setting.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in loras]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = xllamacpp.Server(setting)
    print(server.listening_address, flush=True)
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
