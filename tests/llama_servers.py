"""A real llama.cpp server of a test, in a process of its own on a free port of this machine.

As a script: `python llama_servers.py MODEL.gguf [LORA.gguf ...]`; the first line on stdout is its address.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_SECONDS = 60.0


@contextlib.contextmanager
def llama_server(model: Path, adapters: Sequence[Path] = (), *, parallel: int = 2, scale: float = 1.0) -> Iterator[str]:
    """URL of a server of `model` with these GGUF adapters at `scale`; it is ended with the block."""
    log = model.with_name(f"{model.name}.log")
    command = [sys.executable, __file__, str(scale), str(parallel), str(model), *map(str, adapters)]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("http"), f"the server did not start: {log.read_text(errors='replace')[-2000:]}"
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    import httpx

    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"no llama.cpp at {address}")


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM."""
    import xllamacpp

    scale, parallel, model, *adapters = arguments
    params = xllamacpp.CommonParams()
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.model.path = model
    params.model_alias = {Path(model).stem}
    params.n_ctx = 1024 * int(parallel)
    params.n_parallel = int(parallel)
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = params.endpoint_slots = params.endpoint_props = True
    params.warmup = params.ui = False
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32  # as transformers keeps them
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.verbosity = 1
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, float(scale)) for path in adapters]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(sys.argv[1:])
