"""How a person names an endpoint, and what can be meant.

ollama:MODEL          a model of the Ollama at $OLLAMA_HOST
vllm:URL#MODEL        a model or an adapter of a vLLM server
llama-cpp:URL         what a llama.cpp server answers with; URL#NAME: one of its adapters alone, or the base without
together:MODEL        a model or an endpoint at Together
openai:URL#MODEL      any server of OpenAI's /chat/completions
adapter:NAME@VERSION  a registered adapter on its own base, answered by transformers in a worker process
base:PATH             a model folder or Hugging Face id, the same way
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from lora_tui.adapters import registry
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

Kind = Literal["ollama", "vllm", "llama-cpp", "together", "openai", "adapter", "base"]
FORMS: dict[Kind, str] = {
    "ollama": "ollama:MODEL",
    "vllm": "vllm:http://HOST:PORT#MODEL",
    "llama-cpp": "llama-cpp:http://HOST:PORT or llama-cpp:http://HOST:PORT#ADAPTER",
    "together": "together:MODEL",
    "openai": "openai:http://HOST:PORT/v1#MODEL",
    "adapter": "adapter:NAME@VERSION",
    "base": "base:PATH",
}
_WORD = re.compile(r"[a-z][a-z-]{0,15}")
_WITH_URL = ("vllm", "llama-cpp", "openai")


class Named(msgspec.Struct, frozen=True):
    """A name taken apart: `url` without a slash at its end, empty for kinds that have none; `model` what is behind."""

    name: str
    kind: Kind
    model: str
    url: str = ""


def parsed(name: str) -> Named:
    """Take a name apart. Raises BadInput, which never repeats what may hold a secret."""
    kind, _, rest = name.partition(":")
    if kind not in get_args(Kind):
        said = f"{kind!r} is no kind of endpoint" if kind != name and _WORD.fullmatch(kind) else "this is no endpoint"
        raise BadInput(said, fix=f"Write one of: {', '.join(FORMS.values())}.")
    known: Kind = kind  # type: ignore[assignment]
    if kind not in _WITH_URL:
        if not rest or rest != rest.strip() or "\n" in rest:
            raise BadInput(f"this {kind} endpoint names nothing", fix=f"Write {FORMS[known]}.")
        return Named(name, known, rest)
    url, _, model = rest.partition("#")
    if not (_usable(url) and (model or kind == "llama-cpp")):
        raise BadInput(f"this {kind} endpoint has no usable URL and model", fix=f"Write {FORMS[known]}.")
    return Named(name, known, model, url.rstrip("/"))


def check_name(workspace: Workspace, name: str) -> None:
    """Raise BadInput when this endpoint cannot be meant: an unknown kind, an adapter or folder that is not there."""
    found = parsed(name)
    if found.kind == "adapter":
        registry.find(workspace, found.model)
    if found.kind == "base" and found.model.startswith(("/", ".", "~")) and not Path(found.model).expanduser().is_dir():
        raise BadInput("there is no base model here", where=found.model, fix="Give a model's folder.")


def _usable(url: str) -> bool:
    """Whether it is an address. Raises BadInput where it holds what may be a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
        secret = bool(parts.username or parts.password or parts.query)
        _ = parts.port
    except ValueError:
        return False
    if secret:
        raise BadInput(
            "an endpoint's URL must hold no user, password or query",
            fix="Put the key into the environment: $OPENAI_API_KEY, $VLLM_API_KEY or $LLAMA_API_KEY.",
        )
    return usable
