"""An OpenAI-compatible endpoint on loopback that answers from a script and keeps every request body."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = dict[str, Any]  # {"reasoning"?: str, "text"?: str, "calls"?: [(name, arguments)]}


class ScriptedModel:
    """Replies to requests that carry tools from `script`, in order; to others (titles, summaries) with a sentence."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.script: deque[Reply] = deque()
        self._calls = 0
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model.requests.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for chunk in model.chunks(body):
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def will(self, *replies: Reply) -> None:
        """Append to the script."""
        self.script.extend(replies)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def chunks(self, body: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """One streamed answer."""
        reply: Reply = {"text": "A title or a summary"}
        if body.get("tools"):
            reply = self.script.popleft() if self.script else {"text": "Nothing further."}
        deltas: list[dict[str, Any]] = [{"role": "assistant"}]
        if "reasoning" in reply:
            deltas.append({"reasoning_content": reply["reasoning"]})
        if "text" in reply:
            middle = len(reply["text"]) // 2
            deltas += [{"content": reply["text"][:middle]}, {"content": reply["text"][middle:]}]
        for index, (name, arguments) in enumerate(reply.get("calls", ())):
            self._calls += 1
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            function = {"name": name, "arguments": text}
            call = {"index": index, "id": f"call_{self._calls:04}", "type": "function", "function": function}
            deltas.append({"tool_calls": [call]})
        finish = "tool_calls" if reply.get("calls") else "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        shared = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        return [
            *({**shared, "choices": [{"index": 0, "delta": delta}]} for delta in deltas),
            {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage},
        ]
