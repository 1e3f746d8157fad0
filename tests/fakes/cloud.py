"""What the fakes of providers share: machines that cost by the second, faults on demand, a server on loopback."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "rented-key-of-the-tests"
Answer = tuple[int, Any]

# Faults, each for the next request: any status as a number, and
CUT = "cut"  # the connection breaks before anything is done
LOST = "lost"  # it is done, and the connection breaks before the answer
GARBAGE = "garbage"  # it is done, and the answer is no JSON
LATER = "later"  # 429 with Retry-After: 7
TARDY = "tardy"  # the connection breaks, and it is done some requests later
FINE = ""


@dataclass
class Box:
    """A machine that is rented, with all that was asked for it."""

    id: str
    label: str
    price: float  # USD an hour
    created: float
    asked: dict[str, Any]
    what: str = ""
    ended: float | None = None
    looks: int = 0  # how often its state was asked for
    nodes: int = 1
    broken: str = ""  # the state it is in for good, where it never runs


@dataclass(repr=False)
class Cloud:
    """A provider. `starts_after` looks at a machine let it run; its SSH is at `ssh`."""

    clock: Callable[[], float] = time.time
    ssh: tuple[str, int] = ("127.0.0.1", 22)
    user: str = "root"
    starts_after: int = 2
    url: str = ""
    boxes: list[Box] = field(default_factory=list)
    faults: deque[str | int] = field(default_factory=deque)
    seen: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, body
    most_at_once: int = 0
    dearer: float = 1.0  # what is rented costs this many times what was offered
    broken: deque[str] = field(default_factory=deque)  # states that the next machines stay in
    tardy_by: int = 3  # requests until a tardy one is done
    due: list[tuple[int, Callable[[], object]]] = field(default_factory=list)  # when, in requests seen, and what
    undying: bool = False  # DELETE is answered, and does nothing
    switches: bool = False  # whether machines end themselves as their dead man's switch says
    before: Callable[[str, str], None] = lambda method, path: None  # called when a request has come

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """Do what is asked."""
        raise NotImplementedError

    def fail(self, *faults: str | int) -> None:
        """What happens to the next requests."""
        self.faults.extend(faults)

    def forget(self) -> None:
        """As new, with no machine."""
        self.boxes.clear()
        self.seen.clear()
        self.most_at_once = 0

    @property
    def living(self) -> list[Box]:
        """What costs now."""
        for box in self.boxes if self.switches else ():
            told = re.search(r"-lt (\d+)", box.asked.get("onstart") or box.asked["env"]["LORA_TUI_DEAD_MAN"])
            if told and box.ended is None and self.clock() >= int(told[1]):
                box.ended = float(told[1])
        return [box for box in self.boxes if box.ended is None]

    def add(self, label: str, price: float, asked: dict[str, Any], **more: Any) -> Box:
        """Rent a machine out."""
        box = Box(
            id=f"{type(self).__name__.lower()}{len(self.boxes) + 1:04d}"
            if not self.numeric
            else str(1000 + len(self.boxes)),
            label=label,
            price=price * self.dearer,
            created=self.clock(),
            asked=asked,
            broken=self.broken.popleft() if self.broken else "",
            **more,
        )
        self.boxes.append(box)
        self.most_at_once = max(self.most_at_once, len(self.living))
        return box

    numeric = False

    def box(self, identity: str) -> Box | None:
        """The living machine with this id."""
        return next((box for box in self.living if box.id == identity), None)

    def end(self, box: Box) -> None:
        """Take it back."""
        if not self.undying:
            box.ended = self.clock()

    def runs(self, box: Box) -> bool:
        """Whether it does now; asking brings it on."""
        box.looks += 1
        return box.looks > self.starts_after and not box.broken

    def seconds(self, box: Box) -> float:
        """For how long it costs, until now."""
        return (self.clock() if box.ended is None else box.ended) - box.created

    def billed(self) -> float:
        """USD for all machines, until now."""
        return sum(self.seconds(box) / 3600 * box.price for box in self.boxes)


@contextmanager
def serving(cloud: Cloud) -> Iterator[None]:
    """Answer at `cloud.url` as `cloud` does."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            parts = urlsplit(self.path)
            cloud.seen.append((self.command, parts.path, body))
            cloud.before(self.command, parts.path)
            fault = cloud.faults.popleft() if cloud.faults else FINE
            for when, do in list(cloud.due):
                if len(cloud.seen) >= when:
                    cloud.due.remove((when, do))
                    do()
            if fault == CUT:
                return self._drop()
            if fault == TARDY:
                asked = (self.command, parts.path, dict(parse_qsl(parts.query)), body)
                cloud.due.append((len(cloud.seen) + cloud.tardy_by, lambda: cloud.answer(*asked)))
                return self._drop()
            if fault == LATER:
                return self._send(429, {"detail": "rate limit exceeded", "status": 429}, {"Retry-After": "7"})
            if isinstance(fault, int):
                said = f"planted fault; you sent {self.headers.get('Authorization')}"  # one that repeats the key
                return self._send(fault, {"title": "planted", "status": fault, "detail": said})
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                said = f"not a key: {self.headers.get('Authorization')}"
                return self._send(401, {"title": "Unauthorized", "status": 401, "detail": said})
            status, data = cloud.answer(self.command, parts.path, dict(parse_qsl(parts.query)), body)
            if fault == LOST:
                return self._drop()
            if fault == GARBAGE:
                return self._send(status, None, text=b"<html>gateway</html>")
            return self._send(status, data)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, status: int, data: Any, headers: dict[str, str] | None = None, text: bytes = b"") -> None:
            content = text or (b"" if data is None else json.dumps(data).encode())
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except ConnectionError:  # who asked has left
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
