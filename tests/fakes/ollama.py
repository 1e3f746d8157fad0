"""An Ollama of its documented API (docs/api.md, api/types.go, server/*.go of v0.33) that answers from a real llama.cpp.

Blobs by digest, models of them, chats. What it cannot do is K-quants: it says it does and keeps the file as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from llama_servers import llama_server

VERSION = "0.33.0"
QUANTIZED = ("q8_0", "q4_k_s", "q4_k_m", "f16", "f32", "bf16")
_DURATIONS = {"total_duration": 9_000_000, "prompt_eval_duration": 2_000_000, "eval_duration": 3_000_000}  # ns
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?")


class Refused(Exception):
    """An answer with a status and a reason."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class FakeOllama:
    """`url` while it runs. What may go wrong with a true one is set on it: `cut`, `fails`, `answers_as_base`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []  # method and path of every request
        self.chats: list[dict[str, Any]] = []  # bodies of the chats with a message
        self.cut = False  # ends the making of a model without a word
        self.fails = ""  # ends it with this error
        self.answers_as_base = False  # ignores adapters
        self._servers: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> FakeOllama:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._stack.close()

    def blob(self, digest: str) -> Path:
        """Where a blob lies. A digest that is none is refused."""
        if not _DIGEST.fullmatch(digest):
            raise Refused(400, f"invalid digest format: {digest}")
        return self.folder / digest.replace(":", "-")

    def take(self, digest: str, data: bytes) -> int:
        """Keep a blob; the status it is answered with."""
        path = self.blob(digest)
        if path.exists():
            return 200
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if found != digest:
            raise Refused(400, f"digest mismatch, expected {digest!r}, got {found!r}")
        path.write_bytes(data)
        return 201

    def create(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Statuses of making a model; what is wrong from the start is Refused."""
        name = _tagged(asked.get("model", ""))
        files, source = asked.get("files"), asked.get("from")
        if files is None and not source:
            raise Refused(400, "neither 'from' or 'files' was specified")
        if files is not None and not files:
            raise Refused(400, "no files provided to convert")
        if source:
            if _tagged(source) not in self.models:
                raise Refused(500, "pull model manifest: file does not exist")
            made = dict(self.models[_tagged(source)])
        else:
            made = {"model": self._gguf(files, "model")}
        if adapters := asked.get("adapters"):
            if len(adapters) > 1:
                raise Refused(400, "only one adapter is currently supported")
            made["adapter"] = self._gguf(adapters, "adapter")
        quantize = str(asked.get("quantize") or "")
        if quantize and quantize.lower() not in QUANTIZED:
            raise Refused(400, f"unsupported quantization type {quantize}")
        if quantize and _file_type(made["model"]) not in (0, 1, 32):
            raise Refused(400, "quantization is only supported for F16, BF16 and F32 models")
        made |= {key: asked[key] for key in ("system", "parameters", "template") if key in asked}
        return self._making(name, made, quantize)

    def _making(self, name: str, made: dict[str, Any], quantize: str) -> Iterator[dict[str, Any]]:
        yield {"status": "parsing GGUF"}
        if self.fails:
            yield {"error": self.fails}
            return
        if quantize:
            size = made["model"].stat().st_size
            for part in (0, size // 2, size):
                yield {"status": f"quantizing F16 model to {quantize}", "total": size, "completed": part}
            made["quantized"] = quantize
        yield {"status": f"creating new layer {made['model'].name.replace('-', ':')}"}
        yield {"status": "writing manifest"}
        if self.cut:
            return
        self._stop(name)
        self.models[name] = made
        yield {"status": "success"}

    def _gguf(self, files: dict[str, str], kind: str) -> Path:
        for name, digest in files.items():
            if name.startswith("/") or ".." in name.split("/"):
                raise Refused(400, "file path must be relative")
            path = self.blob(digest)
            if not path.is_file():
                raise Refused(400, f"blob {digest} not found")
            with path.open("rb") as file:
                if file.read(4) != b"GGUF":
                    raise Refused(400, "supplied file was not in GGUF format")
            if _general_type(path) != kind:
                raise Refused(400, "unknown type")
            return path
        raise Refused(400, "no files provided to convert")

    def model(self, name: str) -> dict[str, Any]:
        """A model by name."""
        if _tagged(name) not in self.models:
            raise Refused(404, f"model '{name}' not found")
        return self.models[_tagged(name)]

    def forget(self, name: str) -> None:
        """Remove a model."""
        self.model(name)
        self._stop(_tagged(name))
        del self.models[_tagged(name)]

    def server(self, name: str) -> str:
        """Address of the llama.cpp that answers for a model, started where it is not."""
        found = self.model(name)
        with self._lock:
            key = _tagged(name)
            if key not in self._servers:
                adapter = found.get("adapter") if not self.answers_as_base else None
                link = self.folder / f"{abs(hash(key))}-{time.monotonic_ns()}.gguf"
                link.symlink_to(found["model"])
                self._servers[key] = self._stack.enter_context(llama_server(link, [adapter] if adapter else []))
            return self._servers[key]

    def running(self) -> list[str]:
        """Models in memory."""
        return list(self._servers)

    def stop(self, name: str) -> None:
        """Let a model's memory go."""
        self._stop(_tagged(name))

    def _stop(self, name: str) -> None:
        self._servers.pop(name, None)  # its process ends with the fake

    def chat(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The last line of an answer, with all its words."""
        name = str(asked.get("model", ""))
        found = self.model(name)
        messages = list(asked.get("messages") or [])
        if not messages:
            unload = asked.get("keep_alive") == 0
            self.stop(name) if unload else self.server(name)
            return _line(name, "", "unload" if unload else "load")
        self.chats.append(asked)
        if found.get("system") and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": found["system"]})
        options = {**(found.get("parameters") or {}), **(asked.get("options") or {})}
        body = {
            "messages": messages,
            "temperature": options.get("temperature", 0.8),
            "max_tokens": options.get("num_predict", -1),
            "seed": options.get("seed", 0),
            "stop": options.get("stop"),
            "cache_prompt": False,
        }
        reply = httpx.post(f"{self.server(name)}/v1/chat/completions", json=body, timeout=60).json()
        choice, usage = reply["choices"][0], reply["usage"]
        counts = {"prompt_eval_count": usage["prompt_tokens"], "eval_count": usage["completion_tokens"]}
        line = _line(name, choice["message"]["content"] or "", choice["finish_reason"])
        return line | {key: value for key, value in counts.items() if value} | _DURATIONS


def _line(name: str, content: str, reason: str) -> dict[str, Any]:
    return {
        "model": name,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": content},
        "done": True,
        "done_reason": reason,
    }


def _tagged(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refused(400, "invalid model name")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _general_type(path: Path) -> str:
    return str(_field(path, "general.type"))


def _file_type(path: Path) -> int:
    return int(_field(path, "general.file_type"))


def _field(path: Path, key: str) -> Any:
    import gguf

    return gguf.GGUFReader(path).fields[key].contents()


def _handler(ollama: FakeOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _do(self) -> None:
            ollama.asked.append(f"{self.command} {self.path}")
            size = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(size) if size else b""
            try:
                self._answer(data)
            except Refused as refused:
                self._json(refused.status, {"error": refused.error})

        do_GET = do_POST = do_HEAD = do_DELETE = _do

        def _answer(self, data: bytes) -> None:
            if self.path.startswith("/api/blobs/"):
                self._blob(self.path.rpartition("/")[2], data)
                return
            route = f"{self.command} {self.path}"
            if route in ("GET /api/version", "GET /api/tags", "GET /api/ps"):
                self._json(200, self._lists(self.path))
                return
            if route == "GET /":
                self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
                return
            if not data:
                raise Refused(400, "missing request body")
            asked = json.loads(data)
            match route:
                case "POST /api/create":
                    self._stream(ollama.create(asked), asked.get("stream", True))
                case "POST /api/chat":
                    self._chat(asked)
                case "POST /v1/chat/completions":
                    self._openai(asked)
                case "POST /api/show":
                    self._json(200, self._show(asked.get("model", "")))
                case "POST /api/copy":
                    ollama.models[_tagged(asked["destination"])] = dict(ollama.model(asked["source"]))
                    self._send(200, b"")
                case "DELETE /api/delete":
                    ollama.forget(asked["model"])
                    self._send(200, b"")
                case _:
                    self._send(404, b"404 page not found", "text/plain")

        def _blob(self, digest: str, data: bytes) -> None:
            if self.command == "POST":
                self._send(ollama.take(digest, data), b"")
            elif ollama.blob(digest).is_file():
                self._send(200, b"")
            else:
                raise Refused(404, f"blob {digest!r} not found")

        def _lists(self, path: str) -> dict[str, Any]:
            if path == "/api/version":
                return {"version": VERSION}
            names = list(ollama.models) if path == "/api/tags" else ollama.running()
            return {"models": [self._listed(name) for name in names]}

        def _listed(self, name: str) -> dict[str, Any]:
            found = ollama.models[name]
            model = found["model"]
            return {
                "name": name,
                "model": name,
                "modified_at": "2026-01-01T00:00:00Z",
                "size": model.stat().st_size,
                "digest": hashlib.sha256(json.dumps(found, default=str, sort_keys=True).encode()).hexdigest(),
                "details": {"format": "gguf", "family": "", "families": [], "parameter_size": ""},
            }

        def _show(self, name: str) -> dict[str, Any]:
            found = ollama.model(name)
            lines = [f"FROM {found['model']}"] + ([f"ADAPTER {found['adapter']}"] if "adapter" in found else [])
            parameters = found.get("parameters") or {}
            return {
                "modelfile": "\n".join(lines),
                "parameters": "\n".join(f"{key} {value}" for key, value in parameters.items()),
                "template": found.get("template", ""),
                "system": found.get("system", ""),
                "details": {"format": "gguf"},
                "model_info": {"general.architecture": str(_field(found["model"], "general.architecture"))},
                "capabilities": ["completion"],
            }

        def _chat(self, asked: dict[str, Any]) -> None:
            last = ollama.chat(asked)
            if not asked.get("stream", True):
                self._json(200, last)
                return
            piece = {**last, "done": False}
            for key in ("done_reason", "eval_count", "prompt_eval_count", *_DURATIONS):
                piece.pop(key, None)
            end = {**last, "message": {"role": "assistant", "content": ""}}
            self._stream(iter([piece, end]), True)

        def _openai(self, asked: dict[str, Any]) -> None:
            address = f"{ollama.server(asked['model'])}/v1/chat/completions"
            reply = httpx.post(address, json={**asked, "cache_prompt": False}, timeout=60)
            named = re.sub(rb'"model":"[^"]*"', b'"model":' + json.dumps(asked["model"]).encode(), reply.content)
            self._send(reply.status_code, named, reply.headers["content-type"])

        def _stream(self, lines: Iterator[dict[str, Any]], wanted: bool) -> None:
            if not wanted:
                self._json(200, list(lines)[-1])
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                data = json.dumps(line).encode() + b"\n"
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def _json(self, status: int, body: dict[str, Any]) -> None:
            self._send(status, json.dumps(body).encode(), "application/json; charset=utf-8")

        def _send(self, status: int, body: bytes, kind: str = "") -> None:
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
