"""A server of OpenAI's chat completions on loopback: one base, any number of adapters beside each other.

Or one adapter alone, which may have been trained with tokens of its own.

Each request names its adapter. Tokens of several answers are made in turn, each with its adapter switched on under one
lock: PEFT's switch is global, and without the lock answers mix two adapters.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lora_tui.worker import loading
from lora_tui.worker.generate import Ending, stream
from lora_tui.worker.template import NotText
from lora_tui.workspace.errors import BadInput, LoraTuiError

_MOST_TOKENS = 512  # of an answer whose request names no limit


class Models:
    """The base and its adapters in memory. `_names`: adapter -> PEFT's name for it, which may hold no dot.

    alone: label and folder of the one adapter that is served, without its base.
    """

    def __init__(self, base: str, name: str, alone: tuple[str, str] | None = None) -> None:
        label, folder = alone or ("", "")
        self.name = label or name
        self.tokenizer = loading.load_tokenizer(folder if loading.has_tokenizer(folder) else base)
        self.device = loading.device_here()
        model = loading.load_model(base, bf16=None, device=self.device)
        self._model = (loading.load_adapter(model, folder) if alone else model).eval()
        self._is_alone = alone is not None
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._busy: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._number = 0

    @property
    def names(self) -> list[str]:
        """What may be asked for: the base and the adapters."""
        return [self.name, *self._names]

    def load(self, label: str, folder: str) -> None:
        """Bring in an adapter. Raises BadInput where it does not fit, or cannot lie beside others."""
        from peft import PeftModel

        if label in self.names:
            raise BadInput(f"{label} is loaded already")
        if self._is_alone:
            raise BadInput(f"{self.name} is served alone")
        if loading.has_tokenizer(folder):
            raise BadInput(f"{label} has tokens of its own, and cannot share its base with others")
        with self._lock:
            self._number += 1
            inner = f"adapter_{self._number}"
            if isinstance(self._model, PeftModel):
                try:
                    self._model.load_adapter(folder, inner)
                except (OSError, ValueError, RuntimeError, KeyError) as error:
                    with contextlib.suppress(Exception):  # what it had got to of it
                        self._model.delete_adapter(inner)
                    raise BadInput(f"the adapter does not fit this base: {str(error).splitlines()[0]}") from error
            else:
                try:
                    self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=inner)
                except (OSError, ValueError, RuntimeError, KeyError) as error:
                    raise BadInput(f"the adapter does not fit this base: {str(error).splitlines()[0]}") from error
            self._model.eval()
            self._names[label] = inner

    def unload(self, label: str) -> None:
        """Let go of an adapter when its last answer is complete. Raises BadInput for an unknown one."""
        if label not in self._names:
            raise BadInput(f"there is no adapter {label!r}")
        with self._lock:
            inner = self._names.pop(label)
            self._leaving.add(inner)
            self._leave()

    def answer(self, label: str, asked: Mapping[str, Any], ending: Ending) -> Generator[str]:
        """Pieces of an answer. Raises KeyError for an unknown name."""
        inner = "" if label == self.name else self._names[label]
        with self._lock:
            self._busy[inner] += 1
        try:
            yield from stream(
                self._model if self._is_alone else _Chosen(self._model, inner, self._lock),
                self.tokenizer,
                asked["messages"],
                ending,
                max_tokens=int(asked.get("max_completion_tokens") or asked.get("max_tokens") or _MOST_TOKENS),
                temperature=float(asked.get("temperature") or 0.0),
                seed=int(asked.get("seed") or 0),
            )
        finally:
            with self._lock:
                self._busy[inner] -= 1
                self._leave()

    def _leave(self) -> None:
        for inner in [one for one in self._leaving if not self._busy[one]]:
            self._leaving.discard(inner)
            if len(self._model.peft_config) > 1:  # PEFT keeps the last one
                self._model.delete_adapter(inner)


class _Chosen:
    """The model with one adapter on, or none, for as long as one token takes."""

    def __init__(self, model: Any, adapter: str, lock: threading.Lock) -> None:
        self._model, self._adapter, self._lock = model, adapter, lock
        self.device, self.generation_config = model.device, model.generation_config

    def __call__(self, **inputs: Any) -> Any:
        with self._lock:
            if not hasattr(self._model, "peft_config"):
                return self._model(**inputs)
            if not self._adapter:
                with self._model.disable_adapter():
                    return self._model(**inputs)
            self._model.set_adapter(self._adapter)
            return self._model(**inputs)


def serve(
    base: str, name: str, port: int, adapters: list[tuple[str, str]], alone: tuple[str, str] | None = None
) -> None:
    """Answer on 127.0.0.1:port until SIGTERM. Raises BadInput when base or adapters cannot be loaded."""
    models = Models(base, name, alone)
    for label, folder in adapters:
        models.load(label, folder)

    class Handler(_Handler):
        served = models

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"http://127.0.0.1:{port}", flush=True)
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Models

    def do_GET(self) -> None:
        if self.path == "/health":
            self._json(200, {"status": "ok"})
        elif self.path == "/v1/models":
            data = [{"id": one, "object": "model", "owned_by": "transformers"} for one in self.served.names]
            self._json(200, {"object": "list", "data": data})
        else:
            self._error(404, f"there is nothing at {self.path}", "not_found_error")

    def do_POST(self) -> None:
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            if not isinstance(asked, dict):
                raise TypeError("the body is no JSON object")
            if self.path == "/v1/chat/completions":
                self._chat(asked)
            elif self.path == "/v1/load_lora_adapter":
                self.served.load(str(asked["lora_name"]), str(asked["lora_path"]))
                self._json(200, {"loaded": asked["lora_name"]})
            elif self.path == "/v1/unload_lora_adapter":
                self.served.unload(str(asked["lora_name"]))
                self._json(200, {"unloaded": asked["lora_name"]})
            else:
                self._error(404, f"there is nothing at {self.path}", "not_found_error")
        except ConnectionError:  # who asked has left
            self.close_connection = True
        except LoraTuiError as error:
            self._error(400, error.what)
        except (KeyError, TypeError, ValueError) as error:
            self._error(400, f"not a request: {type(error).__name__}: {error}")

    def _chat(self, asked: dict[str, Any]) -> None:
        label = str(asked.get("model") or self.served.name)
        if label not in self.served.names:
            self._error(404, f"The model `{label}` does not exist.", "not_found_error")
            return
        if not asked.get("messages"):
            self._error(400, "'messages' is required")
            return
        ending = Ending()
        with contextlib.closing(self.served.answer(label, asked, ending)) as pieces:
            self._say(label, pieces, ending, asked)

    def _say(self, label: str, pieces: Iterator[str], ending: Ending, asked: dict[str, Any]) -> None:
        shared = {"id": f"chatcmpl-{time.time_ns():x}", "created": int(time.time()), "model": label}
        try:
            first = next(pieces, "")  # what cannot be answered is said before the stream begins
        except NotText:
            self._error(400, "this model reads text only, no pictures or files")
            return
        if asked.get("stream"):
            self._stream(shared, first, pieces, ending, asked)
        else:
            message = {"role": "assistant", "content": first + "".join(pieces)}
            choice = {"index": 0, "message": message, "finish_reason": _reason(ending)}
            self._json(200, {**shared, "object": "chat.completion", "choices": [choice], "usage": _usage(ending)})

    def _stream(
        self, shared: dict[str, Any], first: str, pieces: Iterator[str], ending: Ending, asked: dict[str, Any]
    ) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def say(choices: list[Any], **more: Any) -> None:
            event = {**shared, "object": "chat.completion.chunk", "choices": choices, **more}
            self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

        say([{"index": 0, "delta": {"role": "assistant", "content": first}, "finish_reason": None}])
        try:
            for piece in pieces:
                say([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        except (LoraTuiError, RuntimeError) as error:
            self._chunk(b"data: " + json.dumps({"error": {"message": str(error), "type": "server_error"}}).encode())
            self._chunk(b"\n\n")
            self.close_connection = True
            return
        say([{"index": 0, "delta": {}, "finish_reason": _reason(ending)}])
        if (asked.get("stream_options") or {}).get("include_usage"):
            say([], usage=_usage(ending))
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _error(self, status: int, message: str, kind: str = "invalid_request_error") -> None:
        self._json(status, {"error": {"message": message, "type": kind, "param": None, "code": status}})

    def _json(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _reason(ending: Ending) -> str:
    return "stop" if ending.stopped else "length"


def _usage(ending: Ending) -> dict[str, int]:
    return {
        "prompt_tokens": ending.prompt_tokens,
        "completion_tokens": ending.tokens,
        "total_tokens": ending.prompt_tokens + ending.tokens,
    }
