"""Ollama's API: the `ollama` package for what is one answer; httpx for blobs and for making models, which take long.

The package posts a blob without asking whether it is there, tells no progress, and waits for ever.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from lora_tui.adapters.exporting.comparing import Heard
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    import httpx

Advance = Callable[[int, int], None]
DEFAULT = "http://127.0.0.1:11434"
_STEP = 1 << 20  # bytes
_SHORT, _LONG = 30.0, 1800.0  # seconds of silence: for an answer; while it converts or loads


class Status(msgspec.Struct, frozen=True):
    """A line of what Ollama is doing."""

    status: str = ""
    error: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0


class Ollama:
    """A running Ollama. Use it as a context manager. Every call raises LoraTuiError with its reason."""

    def __init__(self, host: str = "") -> None:
        """At `host`, else $OLLAMA_HOST, else on this machine. Raises BadInput where the package is missing."""
        try:
            import ollama
        except ModuleNotFoundError as error:
            raise BadInput("the ollama package is not installed", fix="pip install 'lora-tui[ollama]'") from error
        import httpx

        self.url = address(host)
        self._client = ollama.Client(host=self.url, timeout=_LONG)
        self._http = httpx.Client(base_url=self.url, timeout=httpx.Timeout(_LONG, connect=_SHORT))

    def version(self) -> str:
        """Which one answers."""
        with _told(self.url):
            reply = self._http.get("/api/version", timeout=_SHORT)
            reply.raise_for_status()
            return str(reply.json().get("version", ""))

    def models(self) -> dict[str, str]:
        """Its models: name with tag -> digest, which copies share."""
        with _told(self.url):
            return {str(one.model): str(one.digest) for one in self._client.list().models}

    def upload(self, path: Path, advance: Advance) -> str:
        """Bring a file in, unless it is there; returns its digest. `advance` gets bytes of its two readings."""
        size = path.stat().st_size
        total = hashlib.sha256()
        for done, piece in _pieces(path):
            total.update(piece)
            advance(done, 2 * size)
        digest = f"sha256:{total.hexdigest()}"
        with _told(self.url):
            there = self._http.head(f"/api/blobs/{digest}", timeout=_SHORT).status_code
        if there == 200:
            advance(2 * size, 2 * size)
            return digest
        with _told(self.url):
            reply = self._http.post(
                f"/api/blobs/{digest}", content=_sent(path, size, advance), headers={"Content-Length": str(size)}
            )
            reply.raise_for_status()
        return digest

    def create(self, model: str, fields: Mapping[str, Any], tell: Callable[[Status], None]) -> None:
        """Make a model of `files` {name: digest} and other fields; `tell` hears every status.

        Without a line that says success it has failed, also where the stream just ends.
        """
        last = Status()
        with (
            _told(self.url),
            self._http.stream("POST", "/api/create", json={"model": model, "stream": True, **fields}) as reply,
        ):
            if reply.status_code != 200:
                reply.read()
                reply.raise_for_status()
            for line in reply.iter_lines():
                if not line.strip():
                    continue
                last = msgspec.json.decode(line, type=Status)
                if last.error:
                    raise LoraTuiError(f"Ollama cannot make the model: {last.error}", where=model)
                tell(last)
        if last.status != "success":
            raise LoraTuiError(
                "Ollama ended without saying that the model is made",
                where=model,
                fix=f"Its last word was {last.status!r}; see its own log.",
            )

    def answer(self, model: str, prompt: str, most: int) -> tuple[Heard, int | None]:
        """Its greedy answer to a prompt, and how many tokens it read where it says so."""
        with _told(self.url):
            reply = self._client.chat(
                model=model,
                messages=[{"role": "user", "content": prompt}],
                options={"temperature": 0, "seed": 0, "num_predict": most, "repeat_penalty": 1.0},
            )
        return Heard(text=str(reply.message.content or "")), reply.prompt_eval_count

    def unload(self, model: str) -> None:
        """Let its memory go."""
        with _told(self.url):
            self._client.chat(model=model, messages=[], keep_alive=0)

    def copy(self, source: str, name: str) -> None:
        """A second name for a model; it takes the name from the model that had it."""
        with _told(self.url):
            self._client.copy(source, name)

    def delete(self, model: str) -> None:
        """Remove a name, and what no other uses."""
        with _told(self.url):
            self._client.delete(model)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Ollama:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def address(host: str = "") -> str:
    """Where Ollama listens: `host`, else $OLLAMA_HOST, as Ollama reads it (":11500", "box", "http://box:1").

    An address to listen on anywhere (0.0.0.0) is asked on this machine. Raises BadInput.
    """
    named = (host or os.environ.get("OLLAMA_HOST", "")).strip().strip("\"'")
    if not named:
        return DEFAULT
    if named.startswith(":"):
        named = f"127.0.0.1{named}"
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        port = parts.port
    except ValueError as error:
        raise BadInput(f"this is no address of Ollama: {named}", fix=f"Write it like {DEFAULT}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise BadInput("this is no address of Ollama", fix=f"Write it like {DEFAULT}, without user or password.")
    usual = {"http": 80, "https": 443}[parts.scheme] if "://" in named else 11434
    place = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else parts.hostname
    return f"{parts.scheme}://{f'[{place}]' if ':' in place else place}:{port or usual}"


def _pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            done += len(piece)
            yield done, piece


def _sent(path: Path, size: int, advance: Advance) -> Iterator[bytes]:
    for done, piece in _pieces(path):
        advance(size + done, 2 * size)
        yield piece


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Ollama's errors, and those on the way to it, in words."""
    import httpx
    import ollama

    try:
        yield
    except ollama.ResponseError as error:
        raise LoraTuiError(f"Ollama: {error.error}", where=url) from error
    except httpx.HTTPStatusError as error:
        raise LoraTuiError(f"Ollama: {_reason(error.response)}", where=url) from error
    except httpx.TimeoutException as error:
        raise LoraTuiError("Ollama is there and does not answer", where=url, fix="See its own log.") from error
    except (httpx.TransportError, ConnectionError) as error:
        fix = "Start it with `ollama serve`, or name another with --host or $OLLAMA_HOST."
        raise LoraTuiError("Ollama does not answer", where=url, fix=fix) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise LoraTuiError(f"this is no answer of Ollama: {error}", where=url) from error


def _reason(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return reply.text.strip()[:200] or f"status {reply.status_code}"
