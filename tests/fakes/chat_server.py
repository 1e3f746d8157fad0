"""A chat server on loopback that speaks OpenAI's streaming /chat/completions, with planted faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUT = "\0cut"  # in an answer: the connection breaks here
REFUSE = "\0refuse"  # an answer that is this: HTTP 503
ECHO = "\0echo"  # an answer that is this: HTTP 401 that repeats the key


@contextmanager
def chat_server(answer: Callable[[str, str], str], pause: float = 0.0) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Serve `answer(model, prompt)` word by word, `pause` seconds apart; yields the URL and the requests seen."""
    seen: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(body)
            text = answer(body["model"], body["messages"][-1]["content"])
            if text == REFUSE:
                self.send_error(503, "no room")
                return
            if text == ECHO:
                self.send_response(401)
                self.end_headers()
                self.wfile.write(f"not your key: {self.headers['Authorization']}".encode())
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for word in text.split(" "):
                if word == CUT:
                    return
                self._event({"choices": [{"delta": {"content": f"{word} "}, "finish_reason": None}]})
                time.sleep(pause)
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")

        def _event(self, data: object) -> None:
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
