"""`python -m lora_tui.adapters.exporting.llama_child MODEL.gguf [LORA.gguf]`: a llama.cpp server that rounds little.

It is the one inside the wheel `xllamacpp`, for machines without a `llama-server`; its keys and values are float32, as
transformers keeps them. The first line it prints is its address on this machine; SIGTERM ends it.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn

from lora_tui.adapters.exporting.processor import threads

CONTEXT = 1024  # tokens


def main(arguments: list[str]) -> NoReturn:
    """Serve until SIGTERM. Exit code 1 when the files cannot be loaded, with the reason on stderr."""
    import xllamacpp

    model, *adapters = arguments
    setting = xllamacpp.CommonParams()
    setting.hostnames, setting.port = ["127.0.0.1"], 0
    setting.model.path, setting.model_alias = model, {Path(model).stem}
    setting.n_ctx, setting.n_parallel = CONTEXT, 1
    setting.cpuparams.n_threads = setting.cpuparams_batch.n_threads = threads()
    setting.warmup = setting.ui = False
    setting.cache_type_k = setting.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    setting.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    setting.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in adapters]
    server = xllamacpp.Server(setting)
    print(server.listening_address, flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(sys.argv[1:])
