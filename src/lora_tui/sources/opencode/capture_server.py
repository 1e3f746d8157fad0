"""A model on loopback that says one word and remembers what it was asked; it stands in for the user's provider."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

AGENT, DELEGATED, SMALL = "agent", "delegated", "small"  # the models it serves

_ANSWER = "ok"
_LARGEST = 64 * 1024**2


class Listener:
    """Serves three models: the agent's, that of a delegated agent, and a small one for titles."""

    def __init__(self, delegate_to: str = "") -> None:
        self.key = secrets.token_hex(16)  # nobody else on this machine can put words into the capture
        self.heard = threading.Event()
        self.request: dict[str, Any] = {}
        self._wanted = DELEGATED if delegate_to else AGENT
        self._delegate_to = delegate_to
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if self.headers.get("Authorization") != f"Bearer {listener.key}" or length > _LARGEST:
                    self.send_error(401)
                    return
                try:
                    body = msgspec.json.decode(self.rfile.read(length), type=dict[str, Any])
                except msgspec.DecodeError:
                    self.send_error(400)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for event in listener.answer(body):
                    self.wfile.write(b"data: " + event + b"\n\n")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answer until the caller is done."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, body: dict[str, Any]) -> Iterator[bytes]:
        """The events of one answer; remembers the first request to the model that is wanted."""
        model = body.get("model")
        if model == self._wanted and not self.heard.is_set():
            self.request = body
        delta: dict[str, Any] = {"role": "assistant", "content": _ANSWER}
        if model == AGENT and self._delegate_to and not _has_result(body):
            arguments = {"description": "say ok", "prompt": "Say ok.", "subagent_type": self._delegate_to}
            function = {"name": "task", "arguments": msgspec.json.encode(arguments).decode()}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            delta = {"role": "assistant", "tool_calls": [call]}
        shared = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        ended = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if "tool_calls" in delta else "stop"}
        yield msgspec.json.encode({**shared, "choices": [{"index": 0, "delta": delta}]})
        yield msgspec.json.encode({**shared, "choices": [ended], "usage": usage})
        yield b"[DONE]"
        if model == self._wanted:
            self.heard.set()


def _has_result(body: dict[str, Any]) -> bool:
    return any(message.get("role") == "tool" for message in body.get("messages", []))
