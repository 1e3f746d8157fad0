"""Together on loopback, from its documentation and the types of its SDK 3.1: uploads, jobs, registry, endpoints.

State advances by GETs. The next calls of a kind can be made to fail, and what costs money is counted. Files and jobs:
together_jobs.py; registry and endpoints: together_serving.py.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fakes.together_jobs import Jobs
from fakes.together_serving import Serving

KEY = "tgp_v1_planted-key-of-the-tests-0123456789"
MALFORMED, CUT, DONE_THEN_CUT = "malformed", "cut", "done, then cut"

# What a test calls a call, in the order of the path of a run.
CALLS = {
    "limits": ("GET", r"/v1/fine-tunes/models/limits"),
    "upload": ("POST", r"/v1/files"),
    "put": ("PUT", r"/store/.*"),
    "preprocess": ("POST", r"/v1/files/[^/]+/preprocess"),
    "file": ("GET", r"/v1/files/[^/]+"),
    "estimate": ("POST", r"/v1/fine-tunes/estimate-price"),
    "jobs": ("GET", r"/v1/fine-tunes"),
    "create": ("POST", r"/v1/fine-tunes"),
    "job": ("GET", r"/v1/fine-tunes/[^/]+"),
    "events": ("GET", r"/v1/fine-tunes/[^/]+/events"),
    "metrics": ("GET", r"/v1/fine-tunes/[^/]+/metrics"),
    "cancel": ("POST", r"/v1/fine-tunes/[^/]+/cancel"),
    "checkpoints": ("GET", r"/v1/fine-tunes/[^/]+/checkpoints"),
    "download": ("GET", r"/v1/finetune/download"),
    "part": ("PUT", r"/store/ml_.*"),
    "models": ("GET", r"/v2/projects/[^/]+/models"),
    "endpoint": ("POST", r"/v2/projects/[^/]+/endpoints"),
    "hardware": ("GET", r"/v2/public/inference-instance-types"),
    "endpoints": ("GET", r"/v2/projects/[^/]+/endpoints"),
    "deployment": ("POST", r"/v2/projects/[^/]+/endpoints/[^/]+/deployments"),
    "ready": ("GET", r"/v2/projects/[^/]+/endpoints/[^/]+/deployments/[^/]+"),
    "traffic": ("PATCH", r"/v2/projects/[^/]+/endpoints/[^/]+"),
    "chat": ("POST", r"/v1/chat/completions"),
    "load": ("POST", r"/v2/projects/[^/]+/endpoints/[^/]+/deployments/[^/]+/adapters"),
}


@dataclass
class Request:
    """What a handler is given."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The JSON of the body."""
        found: dict[str, Any] = json.loads(self.body or b"{}")
        return found


@dataclass
class Answer:
    """What a handler gives back; `cut` bytes of the body are sent before the connection breaks."""

    status: int = 200
    data: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Fault:
    """After `after` more calls of a kind, `times` of them go wrong."""

    call: str
    how: int | str
    times: int
    after: int = 0


class FakeTogether:
    """The service. `url` is for TOGETHER_BASE_URL."""

    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.RLock()
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()  # "POST /v1/files" -> how often
        self.leaks: list[str] = []  # where the key went that has no business with it
        self.jobs = Jobs()
        self.serving = Serving()

    def fail(self, call: str, how: int | str, times: int = 1, after: int = 0) -> None:
        """Let the next calls answer with a status, MALFORMED, or CUT; DONE_THEN_CUT does the work first."""
        self.faults.append(Fault(call, how, times, after))

    def mend(self) -> None:
        """No faults any more."""
        self.faults.clear()

    def answer(self, request: Request) -> Answer:
        """Route one request."""
        with self.lock:
            self.calls[f"{request.method} {request.path}"] += 1
            authorised = request.headers.get("authorization") == f"Bearer {KEY}"
            if request.path.startswith("/store/"):
                if "authorization" in request.headers:
                    self.leaks.append(request.path)
            elif not authorised:
                return Answer(401, {"error": {"message": "Invalid API key provided", "type": "invalid_request_error"}})
            fault = self._fault(request)
            if fault is not None and fault.how != DONE_THEN_CUT:
                return _faulty(fault, request.headers.get("authorization", ""))
            found = self.jobs.answer(request, self.url) or self.serving.answer(request, self.url)
            if found is None:
                return Answer(404, {"error": {"message": f"no route {request.method} {request.path}"}})
            return Answer(cut=0) if fault is not None else found

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            method, path = CALLS[fault.call]
            if fault.times and request.method == method and re.fullmatch(path, request.path):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None


def _faulty(fault: Fault, authorization: str) -> Answer:
    if fault.how == CUT:
        return Answer(cut=0)
    if fault.how == MALFORMED:
        return Answer(200, raw=b'{"id": "ft-', headers={"Content-Type": "application/json"})
    assert isinstance(fault.how, int)
    message = f"planted {fault.how}; you sent {authorization}"  # a server that repeats the key
    headers = {"Retry-After": "0.05"} if fault.how in (409, 429) or fault.how >= 500 else {}
    return Answer(fault.how, {"error": {"message": message, "type": "planted"}}, headers=headers)


@contextmanager
def together_server() -> Iterator[FakeTogether]:
    """A service that runs as long as the block."""
    fake = FakeTogether()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake.answer))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answer: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: the second would wait for an acknowledgement

        def _any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(answer(Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)))

        def _send(self, found: Answer) -> None:
            if found.cut == 0:
                self.close_connection = True
                return
            raw = (
                found.raw
                if found.raw is not None
                else json.dumps(found.data if found.data is not None else {}).encode()
            )
            self.send_response(found.status)
            for name, value in {"Content-Type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw if found.cut is None else raw[: found.cut])
            if found.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        def log_message(self, *_: object) -> None:
            pass

    return Handler
