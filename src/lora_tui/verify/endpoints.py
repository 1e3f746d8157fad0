"""Endpoints: whatever answers a chat request, named as a person types it.

base:PATH         a model folder or Hugging Face id, answered by transformers in a worker process
adapter:NAME@V    a registered adapter on its own base, the same way
openai:URL#MODEL  any server that speaks OpenAI's /chat/completions (vLLM, llama.cpp, Ollama, …)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

import msgspec

from lora_tui.adapters import registry
from lora_tui.jobs import answering
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


class Ended(msgspec.Struct, frozen=True):
    """The end of an answer: tokens generated, and whether the model ended it itself."""

    tokens: int
    stopped: bool


class Endpoint(Protocol):
    """Something that answers; `ask` yields pieces of text and at last an Ended. Errors are LoraTuiErrors."""

    name: str

    def ask(self, prompt: str, max_tokens: int) -> Iterator[str | Ended]:
        """Answer one prompt, greedily."""
        ...

    def close(self) -> None:
        """Let go of processes and connections."""
        ...


def check_name(workspace: Workspace, name: str) -> None:
    """Raise BadInput when this endpoint cannot be meant: an unknown kind, an adapter that is not there."""
    kind, _, rest = name.partition(":")
    if kind not in ("base", "adapter", "openai") or not rest:
        raise BadInput(f"{name!r} is no endpoint", fix="Write base:PATH, adapter:NAME@VERSION or openai:URL#MODEL.")
    if kind == "adapter":
        registry.find(workspace, rest)
    elif kind == "openai":
        _server_and_model(rest)


def open_endpoint(workspace: Workspace, name: str, log: Path) -> Endpoint:
    """Make the endpoint ready to answer. `log` takes what a worker process prints on stderr."""
    check_name(workspace, name)
    kind, _, rest = name.partition(":")
    if kind == "base":
        return TransformersEndpoint(name, rest, None, log)
    if kind == "adapter":
        found = registry.find(workspace, rest)
        return TransformersEndpoint(f"adapter:{found.label}", found.metadata.base, found.folder, log)
    url, model = _server_and_model(rest)
    return OpenAIEndpoint(name, url, model)


def _server_and_model(text: str) -> tuple[str, str]:
    """URL and model of an openai: endpoint. Raises BadInput, without repeating what may hold a secret."""
    url, _, model = text.rpartition("#")
    try:
        parts = urlsplit(url)
        usable = bool(model) and parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = bool(parts.username or parts.password or parts.query)
        _ = parts.port
    except ValueError:
        usable = secret = False
    if secret:
        raise BadInput(
            "an endpoint's URL must hold no user, password or query", fix="Put the key into $OPENAI_API_KEY."
        )
    if not usable:
        raise BadInput("this endpoint has no usable URL and model", fix="Write openai:http://HOST:PORT/v1#MODEL.")
    return url, model


def _api_key() -> str:
    """$OPENAI_API_KEY. Raises BadInput, without its value, when no header can carry it."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key.isascii() or not key.isprintable():
        raise BadInput("$OPENAI_API_KEY holds characters that no key has", fix="Set it again, without line breaks.")
    return key


class TransformersEndpoint:
    """A worker process that holds the model and answers over its standard input and output."""

    def __init__(self, name: str, base: str, adapter: Path | None, log: Path) -> None:
        self.name = name
        command = [sys.executable, "-m", "lora_tui.worker", "answer", base]
        if adapter is not None:
            command += ["--adapter", str(adapter)]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"TOKENIZERS_PARALLELISM": "false"},
            )
        self._log = log
        self._number = 0
        match self._reply():
            case answering.Ready():
                pass
            case answering.Trouble() as trouble:
                self.close()
                raise LoraTuiError(f"{name} cannot be loaded: {trouble.error}", fix=trouble.fix)
            case _:
                raise self._broken()

    def ask(self, prompt: str, max_tokens: int) -> Iterator[str | Ended]:
        """Answer one prompt, greedily."""
        self._number += 1
        request = answering.Request(
            id=self._number, messages=[{"role": "user", "content": prompt}], max_tokens=max_tokens
        )
        try:
            self._pipe(self._process.stdin).write(answering.line(request))
            self._pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._broken() from None
        while True:
            match self._reply():
                case answering.Delta() as delta:
                    yield delta.text
                case answering.Done() as done:
                    yield Ended(tokens=done.tokens, stopped=done.stopped)
                    return
                case answering.Trouble() as trouble:
                    raise LoraTuiError(f"{self.name} cannot answer: {trouble.error}", fix=trouble.fix)
                case _:
                    raise self._broken()

    def close(self) -> None:
        """End the worker: it leaves when its input ends."""
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def _reply(self) -> answering.Reply | None:
        line = self._pipe(self._process.stdout).readline()
        try:
            return answering.reply(line) if line else None
        except msgspec.DecodeError:
            return None

    def _broken(self) -> LoraTuiError:
        self._process.kill()
        self._process.wait()
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return LoraTuiError(f"{self.name} does not answer: {lines[-1]}", where=str(self._log))

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream


class OpenAIEndpoint:
    """A server that speaks OpenAI's /chat/completions; the key comes from $OPENAI_API_KEY when it needs one."""

    def __init__(self, name: str, url: str, model: str) -> None:
        import httpx

        self.name = name
        self._model = model
        self._key = key = _api_key()
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(300, connect=10),
        )

    def ask(self, prompt: str, max_tokens: int) -> Iterator[str | Ended]:
        """Answer one prompt, greedily, as a stream of server-sent events."""
        import httpx

        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": True,
        }
        pieces, reason = 0, ""
        try:
            with self._client.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code != 200:
                    said = self._without_key(response.read().decode(errors="replace"))[:300]
                    raise LoraTuiError(f"{self.name} answered {response.status_code}: {said}")
                for line in response.iter_lines():
                    if not line.startswith("data:") or line.endswith("[DONE]"):
                        continue
                    choice = (msgspec.json.decode(line[5:]).get("choices") or [{}])[0]
                    text = (choice.get("delta") or {}).get("content")
                    reason = choice.get("finish_reason") or reason
                    if text:
                        pieces += 1
                        yield text
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise LoraTuiError(f"{self.name} does not answer: {self._without_key(str(error))}") from error
        if not reason:
            raise LoraTuiError(f"{self.name} broke off in the middle of an answer")
        yield Ended(tokens=pieces, stopped=reason == "stop")

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key in their error."""
        return text.replace(self._key, "***") if self._key else text

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def answer(endpoint: Endpoint, prompt: str, max_tokens: int) -> Iterator[tuple[str, float, Ended | None]]:
    """Ask and time it: (text so far, seconds since the request, Ended at the end)."""
    begun, text = time.monotonic(), ""
    for piece in endpoint.ask(prompt, max_tokens):
        if isinstance(piece, Ended):
            yield text, time.monotonic() - begun, piece
        else:
            text += piece
            yield text, time.monotonic() - begun, None
