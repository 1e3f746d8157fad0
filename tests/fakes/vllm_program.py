#!/usr/bin/env python3
"""A `vllm` that serves as vLLM 0.32 does, without a model: it answers with the name it was asked for.

Its words and whether it may load adapters go into a line of $FAKE_VLLM_LOG at each start. A true one is tried by
tests/contract/test_vllm.py.
"""

from __future__ import annotations

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve")
    parser.add_argument("base")
    parser.add_argument("--served-model-name")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--enable-lora", action="store_true")
    for name in ("max-lora-rank", "max-loras", "max-cpu-loras", "max-model-len", "max-num-seqs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--lora-modules", nargs="*", default=[], type=json.loads)
    parser.add_argument("--dtype")
    given = parser.parse_args()
    adapters = {one["name"]: one["path"] for one in given.lora_modules}
    may_load = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1"
    with Path(os.environ["FAKE_VLLM_LOG"]).open("a") as log:
        log.write(json.dumps({**vars(given), "may_load": may_load}) + "\n")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200 if self.path == "/health" else 404, b"")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/chat/completions":
                self._chat(asked["model"])
            elif not may_load:
                self._send(404, b'{"detail":"Not Found"}')
            elif self.path == "/v1/load_lora_adapter":
                self._load(asked["lora_name"], asked["lora_path"])
            elif adapters.pop(asked["lora_name"], None) is None:
                self._error(404, "The lora adapter cannot be found.", "NotFoundError")
            else:
                self._send(200, b"Success: LoRA adapter removed successfully.")

        def _chat(self, model: str) -> None:
            if model not in (given.served_model_name, *adapters):
                self._error(404, f"The model `{model}` does not exist.", "NotFoundError")
                return
            message = {"role": "assistant", "content": f"I am {model}."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(200, json.dumps({"model": model, "choices": [choice]}).encode())

        def _load(self, name: str, path: str) -> None:
            if name in adapters:
                self._error(400, f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
            elif "refused" in Path(path).parent.name:
                why = "Call to add_lora method failed: Worker failed with error 'vLLM does not like it.'"
                self._error(500, why, "InternalServerError")
            else:
                adapters[name] = path
                self._send(200, f"Success: LoRA adapter '{name}' added successfully.".encode())

        def _error(self, status: int, message: str, kind: str) -> None:
            error = {"message": message, "type": kind, "param": None, "code": status}
            self._send(status, json.dumps({"error": error}).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
