"""Loading a GGUF in llama.cpp and asking it: what it makes of texts, and what it writes."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lora_tui.adapters.exporting.comparing import Heard
from lora_tui.adapters.exporting.llama_child import CONTEXT
from lora_tui.adapters.exporting.processor import threads
from lora_tui.adapters.exporting.source import Unasked
from lora_tui.adapters.exporting.work import Work
from lora_tui.adapters.orphans import ends_with_parent
from lora_tui.jobs.reference import Said
from lora_tui.workspace.errors import LoraTuiError

if TYPE_CHECKING:
    import httpx

_START_SECONDS = 600.0
_ANSWER_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_ROOM = 1.1


class Loaded:
    """A model that llama.cpp has loaded."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def tokens(self, text: str) -> list[int]:
        """The ids it cuts a text into, special tokens read as such."""
        return list(self._ask("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"])

    def template(self, prompt: str) -> str:
        """A conversation of one request as its chat template writes it."""
        return str(self._ask("/apply-template", {"messages": [{"role": "user", "content": prompt}]})["prompt"])

    def answer(self, tokens: tuple[int, ...], most: int) -> Heard:
        """What it writes greedily after some tokens."""
        asked = {
            "prompt": list(tokens),
            "n_predict": most,
            "temperature": 0,
            "cache_prompt": False,  # which ignores the adapter: ggml-org/llama.cpp#26207
            "return_tokens": True,
            "n_probs": 1,
        }
        found = self._ask("/completion", asked)
        first = (found.get("completion_probabilities") or [{}])[0]
        return Heard(tokens=tuple(found["tokens"]), text=str(found["content"]), logprob=first.get("logprob"))

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        import httpx

        try:
            reply = self._client.post(path, json=body)
            reply.raise_for_status()
            return reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise LoraTuiError(f"llama.cpp does not answer: {error}") from error


def missing() -> str:
    """Why no llama.cpp can be started here; empty where one can."""
    if shutil.which("llama-server") or importlib.util.find_spec("xllamacpp") is not None:
        return ""
    return "llama.cpp is not here: put llama-server on the PATH, or pip install 'lora-tui[llama-cpp]'"


@contextlib.contextmanager
def loaded(work: Work, model: Path, adapter: Path | None = None) -> Iterator[Loaded]:
    """llama.cpp with a model and an adapter on it, on 127.0.0.1, until the end of the block.

    Raises LoraTuiError with its last words when it cannot load them, Unasked when they do not fit into memory.
    """
    import httpx

    if reason := missing():
        raise Unasked(reason)
    size, free = model.stat().st_size, psutil.virtual_memory().available
    if size * _ROOM > free:
        raise Unasked(f"{size / 1e9:.1f} GB do not fit into {free / 1e9:.1f} GB of free memory")
    log, said = work.folder / "llama.log", work.folder / "llama-address"
    command, address = _command(model, adapter)
    with log.open("wb") as errors, said.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, preexec_fn=ends_with_parent()
        )
    try:
        address = address or _told(work, process, said, log)
        with httpx.Client(base_url=address, timeout=_ANSWER_SECONDS, trust_env=False) as client:
            _until(work, process, log, lambda: _is_healthy(client))
            yield Loaded(client)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def hear(work: Work, model: Loaded, said: Said, most: int) -> tuple[list[Heard], int]:
    """Its answers to the conversations of a source, as the source's tokens, and how many its template writes alike."""
    heard = []
    for done, written in enumerate(said.answers):
        work.advance(done, len(said.answers))
        heard.append(model.answer(written.prompt_tokens, most))
    return heard, sum(model.template(prompt) == text for prompt, text in _asked(said))


def _asked(said: Said) -> list[tuple[str, str]]:
    from lora_tui.adapters.exporting.samples import PROMPTS

    return [(prompt, written.prompt) for prompt, written in zip(PROMPTS, said.answers, strict=True)]


def _command(model: Path, adapter: Path | None) -> tuple[list[str], str]:
    """What starts it, and its address where that is known before."""
    program = shutil.which("llama-server")
    if program is None:
        more = [str(adapter)] if adapter is not None else []
        return [sys.executable, "-m", "lora_tui.adapters.exporting.llama_child", str(model), *more], ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [program, "--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--jinja"]
    words += ["--ctx-size", str(CONTEXT), "--parallel", "1", "--no-warmup", "--threads", str(threads())]
    words += ["--cache-type-k", "f32", "--cache-type-v", "f32"]
    return words + (["--lora", str(adapter)] if adapter is not None else []), f"http://127.0.0.1:{port}"


def _told(work: Work, process: subprocess.Popen[bytes], said: Path, log: Path) -> str:
    _until(work, process, log, lambda: said.read_text().endswith("\n"))
    return said.read_text().strip()


def _until(work: Work, process: subprocess.Popen[bytes], log: Path, holds: Any) -> None:
    end = time.monotonic() + _START_SECONDS
    while not holds():
        work.look()
        if process.poll() is not None or time.monotonic() > end:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            reasons = [line for line in lines if "error" in line.lower()] or lines
            raise LoraTuiError(
                f"llama.cpp cannot load it: {reasons[0].strip()[:300] if reasons else 'it ended without a word'}",
                where=str(log),
            )
        time.sleep(_LOOK_SECONDS)


def _is_healthy(client: httpx.Client) -> bool:
    import httpx

    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
