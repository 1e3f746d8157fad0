"""What an Ollama can do wrong, from lines as its API writes them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from asking_endpoints import asked, endpoint
from lora_tui.verify.asking import EndpointFault
from lora_tui.workspace.layout import Workspace

SAYS = [
    {"model": "coder", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
    {"model": "coder", "message": {"role": "assistant", "content": "He"}, "done": False},
    {"model": "coder", "message": {"role": "assistant", "content": "llo"}, "done": False},
]
END = {
    "model": "coder",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "length",
    "total_duration": 900,
    "load_duration": 500,
    "prompt_eval_count": 7,
    "prompt_eval_duration": 100,
    "eval_count": 3,
    "eval_duration": 200,
}


@contextmanager
def ollama(lines: list[Any], status: int = 200, shown: dict[str, Any] | None = None) -> Iterator[str]:
    """An Ollama with one model that answers every chat with these lines; those that are text as they are."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            models = [{"name": "coder:latest", "digest": "abc"}]
            self._json({"version": "0.33.0"} if self.path == "/api/version" else {"models": models})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/show":
                self._json(shown if shown is not None else {"model_info": {"qwen2.context_length": 4096}})
                return
            self.send_response(status)
            self.end_headers()
            for line in lines:
                self.wfile.write((line if isinstance(line, str) else json.dumps(line) + "\n").encode())

        def _json(self, data: object) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_whole_answer_tells_its_times(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with ollama([*SAYS, END]) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        async with endpoint(workspace, "ollama:coder") as one:
            text, end = await asked(one)
    assert (text, end.tokens, end.finish, end.prompt_tokens, end.counted) == ("Hello", 3, "length", 7, False)
    assert (end.queued, end.generating) == (pytest.approx(600e-9), pytest.approx(200e-9))


@pytest.mark.parametrize(
    ("lines", "status", "code", "words"),
    [
        (SAYS, 200, "cut-off", "did not say how it ended"),
        ([*SAYS, {"error": "the runner ended"}], 200, "cut-off", "the runner ended"),
        ([{"error": "no memory"}], 200, "refused", "did not answer: no memory"),
        ([*SAYS, '{"model": "coder", "mess\n'], 200, "malformed", "sent no answer"),
        ([*SAYS, {**END, "eval_count": "many"}], 200, "malformed", "sent no answer"),
        (["<html></html>"], 200, "malformed", "sent no answer"),
        ([{**SAYS[1], "message": {"content": "x" * 90_000}}], 200, "malformed", "characters for one answer"),
        ([{**one, "model": "other"} for one in SAYS], 200, "wrong-model", "answers with other in place of coder"),
        ([{"error": "model 'coder' not found"}], 404, "wrong-model", "does not serve coder"),
        ([{"error": "the prompt is too long"}], 400, "refused", "answered 400: the prompt is too long"),
        ([{"error": "busy"}], 503, "refused", "answered 503: busy"),
    ],
)
async def test_each_fault_has_its_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, lines: list[Any], status: int, code: str, words: str
) -> None:
    with ollama(lines, status) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        async with endpoint(workspace, "ollama:coder") as one:
            with pytest.raises(EndpointFault, match=words) as caught:
                await asked(one)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        ({"model_info": {"qwen2.context_length": 1000}}, 1000),
        ({"parameters": "stop x\nnum_ctx 500\n", "model_info": {"qwen2.context_length": 1000}}, 500),
        ({}, 8192),
    ],
)
async def test_the_context_is_what_the_model_says(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, shown: dict[str, Any], fits: int
) -> None:
    with ollama([*SAYS, END], shown=shown) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        async with endpoint(workspace, "ollama:coder") as one:
            assert (await asked(one, "word " * fits))[0] == "Hello"
            with pytest.raises(EndpointFault, match=f"and the context {fits}") as caught:
                await asked(one, "word " * (fits * 10 // 9 + 2))
    assert caught.value.code == "truncated-prompt"


async def test_answers_that_it_gave_by_openais_interface_are_not_taken_for_those_by_its_own(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There its repeat_penalty and its context hold, which cuts a long prompt without a word."""
    with ollama([*SAYS, END]) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        found = []
        for name in ("ollama:coder", f"openai:{url}/v1#coder"):
            async with endpoint(workspace, name) as one:
                found.append((await one.identify()).digest)
    assert "" not in found
    assert found[0] != found[1]
