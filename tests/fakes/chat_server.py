"""A chat server on loopback that speaks OpenAI's /chat/completions, streaming or not, with planted faults."""

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
LATER = "\0later"  # an answer that is this: HTTP 429 that asks to come back at once
NO_FORMAT = "\0format"  # an answer that is this: HTTP 400 when the request has a response_format, else an empty answer


@contextmanager
def chat_server(answer: Callable[[str, str], str], pause: float = 0.0) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Serve `answer(model, prompt)`, streamed words `pause` seconds apart; yields the URL and the requests seen."""
    seen: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(body)
            text = answer(body["model"], body["messages"][-1]["content"])
            if text == REFUSE:
                self.send_error(503, "no room")
                return
            if text == LATER:
                self.send_response(429)
                self.send_header("Retry-After", "0")
                self.end_headers()
                return
            if text == NO_FORMAT and "response_format" in body:
                self.send_response(400)
                self.end_headers()
                self.wfile.write(b'{"error": "response_format is not known here"}')
                return
            if text == ECHO:
                self.send_response(401)
                self.end_headers()
                self.wfile.write(f"not your key: {self.headers['Authorization']}".encode())
                return
            if not body.get("stream"):
                self._whole(text)
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

        def _whole(self, text: str) -> None:
            time.sleep(pause)
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
            data = json.dumps({"choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except ConnectionError:  # who asked has left
                pass

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
