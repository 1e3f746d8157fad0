"""A server of OpenAI's chat completions on loopback that goes wrong in one planted way, or in none.

with fault_server("cut-off", answer, times=2) as server:    # the first two answers are cut off, the others whole
    ... f"openai:{server.url}#base", server.seen
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal[
    "",
    "wrong-model",  # another of its models answers, and says so
    "changed-model",  # as wrong-model, but not before a stream
    "any-name",  # whatever is asked for answers, under the name that was asked for
    "mixed-adapters",  # while others are answered, the answer is the other model's
    "no-effect",  # every model answers as the first
    "truncated-prompt",  # reads LIMIT words of a prompt, and counts those
    "rate-limited",  # 429, Retry-After: 0.05
    "rate-limited-inside",  # 429 as an error in the stream
    "cut-off",  # the connection breaks in the middle
    "no-end",  # the stream ends in order, without a finish_reason
    "error-inside",  # an error in the middle of the stream
    "malformed",  # a chunk that is no JSON
    "wrong-shape",  # JSON, whose content is a number
    "web-page",  # HTML, status 200
    "endless",  # an answer that does not end
    "no-usage",  # no usage at all
    "hang",  # the head and the first piece, then nothing
    "silent",  # nothing at all
    "pings",  # nothing but comments that keep the connection open
    "refused",  # 500 with the key that was sent in its words
]
LIMIT = 300  # words of a prompt that a truncating server reads
Answers = Callable[[str, str], str]


@dataclass
class FaultServer:
    """`fault`, `times` and `after` may be changed while it runs; they count the streams that were asked for."""

    fault: Fault
    answer: Answers
    models: Sequence[str]
    times: int | None = None  # streams that go wrong; None: all
    after: int = 0  # streams before those
    pause: float = 0.0  # seconds between pieces
    engine: str = ""
    slots: int = 1  # for adapters, that a vLLM tells
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)  # bodies of the streams that were asked for
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def now(self, body: dict[str, Any]) -> Fault:
        """The fault of a request."""
        if not body.get("stream"):
            return self.fault if self.fault in ("wrong-model", "any-name", "no-effect", "web-page", "silent") else ""
        with self.lock:
            number = len(self.seen)
            self.seen.append(body)
        count = number - self.after
        return self.fault if count >= 0 and (self.times is None or count < self.times) else ""

    def other(self, model: str) -> str:
        """Another of its models."""
        return next((one for one in self.models if one != model), model)


@contextmanager
def fault_server(
    fault: Fault = "",
    answer: Answers = lambda model, prompt: f"I am {model} .",
    *,
    models: Sequence[str] = ("base", "tuned"),
    times: int | None = None,
    after: int = 0,
    pause: float = 0.0,
    tls: ssl.SSLContext | None = None,
    engine: Literal["", "vllm"] = "",
) -> Iterator[FaultServer]:
    """Serve `answer(model, prompt)`, a word a piece. As a vLLM its first model is the base of the others."""
    planted = FaultServer(fault, answer, models, times, after, pause, engine)
    server = _Quiet(("127.0.0.1", 0), _handler(planted))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    planted.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/v1"
    try:
        yield planted
    finally:
        planted.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _listed(planted: FaultServer, name: str) -> dict[str, Any]:
    """A model's entry; without an engine only what every server tells."""
    if planted.engine != "vllm":
        return {"id": name, "object": "model", "owned_by": "fake"}
    parent = None if name == planted.models[0] else planted.models[0]
    return {"id": name, "object": "model", "owned_by": "vllm", "root": f"/nowhere/{name}", "parent": parent}


class _Quiet(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that left is what many of the tests are about."""


def _handler(planted: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            if self.path == "/v1/models":
                self._json(200, {"object": "list", "data": [_listed(planted, name) for name in planted.models]})
            elif planted.engine == "vllm" and self.path == "/version":
                self._json(200, {"version": "0.32.0"})
            elif planted.engine == "vllm" and self.path == "/metrics":
                text = f'vllm:lora_requests_info{{max_lora="{planted.slots}",running_lora_adapters=""}} 1.0\n'
                self._send(200, text.encode(), "text/plain")
            else:
                self._json(404, {"detail": "Not Found"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":
                text = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
                count = len(text.split()) + (8 if "messages" in body else 0)
                self._json(*((200, {"count": count}) if planted.engine == "vllm" else (404, {"detail": "Not Found"})))
                return
            with planted.lock:
                planted.in_flight += 1
                alone = planted.in_flight == 1
            try:
                self._answer(body, planted.now(body), alone)
            except ConnectionError:  # who asked has left
                self.close_connection = True
            finally:
                with planted.lock:
                    planted.in_flight -= 1

        def _answer(self, body: dict[str, Any], fault: Fault, alone: bool) -> None:
            model = body["model"]
            if model not in planted.models and fault != "any-name":
                self._json(404, {"error": {"message": f"The model `{model}` does not exist.", "code": 404}})
                return
            match fault:
                case "silent":
                    planted.closing.wait(30)
                    self.close_connection = True
                    return
                case "rate-limited":
                    self._json(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.05"})
                    return
                case "refused":
                    self._json(500, {"error": f"no room; you sent {self.headers['Authorization']}"})
                    return
                case "web-page":
                    self._send(200, b"<html><body>Log in</body></html>", "text/html")
                    return
            says = planted.other(model) if fault in ("wrong-model", "changed-model") else model
            whose = says
            if fault == "no-effect":
                whose = planted.models[0]
            if fault == "mixed-adapters" and not alone:
                whose = planted.other(model)
            self._say(body, fault, says, planted.answer(whose, body["messages"][-1]["content"]))

        def _say(self, body: dict[str, Any], fault: Fault, says: str, text: str) -> None:
            prompt = len(body["messages"][-1]["content"].split())
            words = text.split(" ")
            words = [word + " " for word in words[:-1]] + words[-1:]
            kept = words[: body.get("max_tokens") or len(words)]
            finish = "stop" if len(kept) == len(words) else "length"
            usage = {
                "prompt_tokens": 8 + (min(prompt, LIMIT) if fault == "truncated-prompt" else prompt),
                "completion_tokens": len(kept),
            }
            if not body.get("stream"):
                message = {"role": "assistant", "content": "".join(kept)}
                choice = {"index": 0, "message": message, "finish_reason": finish}
                self._json(200, {"model": says, "choices": [choice], "usage": usage})
                return
            self._stream(body, fault, says, kept, finish, usage)

        def _stream(
            self,
            body: dict[str, Any],
            fault: Fault,
            says: str,
            words: list[str],
            finish: str,
            usage: dict[str, int],
        ) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

            def event(choices: list[Any], **more: Any) -> None:
                self._chunk(f"data: {json.dumps({'model': says, 'choices': choices, **more})}\n\n".encode())

            while fault == "pings" and not planted.closing.wait(0.05):
                self._chunk(b": still here\n\n")
            if fault == "rate-limited-inside":
                self._chunk(b'data: {"error": {"message": "slow down", "code": 429}}\n\n')
                words = []
            event([{"index": 0, "delta": {"role": "assistant", "content": None}}])
            for number, word in enumerate(words):
                if number == 1 and self._goes_wrong(fault):
                    return
                event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
                while fault == "endless":
                    event([{"index": 0, "delta": {"content": word * 200}}])
                time.sleep(planted.pause)
            if fault != "no-end":
                event([{"index": 0, "delta": {}, "finish_reason": finish}])
            if fault != "no-usage" and (body.get("stream_options") or {}).get("include_usage"):
                event([], usage=usage)
            self._chunk(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

        def _goes_wrong(self, fault: Fault) -> bool:
            """After the first piece. True: nothing more follows."""
            self.close_connection = fault in ("hang", "cut-off")
            match fault:
                case "hang":
                    planted.closing.wait(30)
                case "malformed":
                    self._chunk(b'data: {"choices": [{"delta": {"content": "half\n\n')
                case "wrong-shape":
                    self._chunk(b'data: {"choices": [{"index": 0, "delta": {"content": 7}}]}\n\n')
                case "error-inside":
                    self._chunk(b'data: {"error": {"message": "the engine died", "code": 500}}\n\n')
            return self.close_connection

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

        def _json(self, status: int, data: object, headers: dict[str, str] | None = None) -> None:
            self._send(status, json.dumps(data).encode(), "application/json", headers)

        def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    return Handler
