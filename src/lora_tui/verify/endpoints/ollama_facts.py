"""Who answers at Ollama: a model's digest covers its weights, adapter, template, parameters and system prompt."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

from lora_tui.verify.asking import Identity
from lora_tui.verify.endpoints import digests, listing
from lora_tui.verify.endpoints.chat import Known
from lora_tui.verify.endpoints.refusals import refused
from lora_tui.verify.endpoints.server import Server

_CONTEXT = 8192  # tokens, where neither the model's file nor its maker says less
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)
_CUTS = "through this address Ollama cuts long prompts without a word: name it ollama:{model} to have it refuse them"
_ITS_OWN = "its repeat_penalty and top_k are as the model's file or Ollama sets them, not off as on other engines"


class Facts(msgspec.Struct, frozen=True):
    """A model of Ollama's."""

    identity: Identity
    context: int  # tokens to ask for: one number for all requests, as another one loads the model anew


async def is_ollama(server: Server) -> bool:
    """Whether it answers as Ollama does."""
    status, found = await server.get("/api/version")
    return status == 200 and isinstance(found, dict) and "version" in found


async def facts(server: Server, model: str) -> Facts:
    """Raises EndpointFault: "wrong-model" where it has no such model."""
    status, found = await server.get("/api/version")
    version = str(found.get("version", "")) if status == 200 and isinstance(found, dict) else ""
    if not version:
        raise server.fault("malformed", "is no Ollama", fix="Check $OLLAMA_HOST.")
    tags = await _models(server)
    tagged = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
    digest = next((found for name, found in tags.items() if name.lower() == tagged.lower()), None)
    if digest is None:
        raise listing.absent(server, model, list(tags))
    shown = await _show(server, model)
    pid, _ = await asyncio.to_thread(digests.holder, server.host, server.port)
    identity = Identity(
        engine="ollama",
        model=model,
        version=version,
        digest=digests.of("ollama", version, digest),
        served=tuple(tags),
        pid=pid,
    )
    return Facts(identity, _context(shown))


async def known_to_openai(server: Server, model: str) -> Known:
    """The same for its OpenAI surface, which takes no context length."""
    found = await facts(server, model)
    identity = msgspec.structs.replace(
        found.identity, notes=(_CUTS.format(model=model), _ITS_OWN), digest=digests.of("openai", found.identity.digest)
    )
    return Known(identity, says=model, more={"top_p": 1.0})


async def _models(server: Server) -> dict[str, str]:
    """Name with tag -> digest."""
    status, found = await server.get("/api/tags")
    models = found.get("models") if status == 200 and isinstance(found, dict) else None
    if not isinstance(models, list):
        raise server.fault("malformed", "sent no list of models")
    return {str(one.get("name")): str(one.get("digest") or "") for one in models if isinstance(one, dict)}


async def _show(server: Server, model: str) -> dict[str, Any]:
    async with server.request("POST", "/api/show", {"model": model}) as reply:
        body = await reply.read()
        if reply.status != 200:
            raise refused(server, model, reply.status, reply.headers, body)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise server.fault("malformed", "does not tell of its model")
    return found


def _context(shown: dict[str, Any]) -> int:
    """Tokens: what the model's file sets, else what it was made for, up to a bound."""
    parameters = shown.get("parameters")
    set_to = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    if set_to is not None:
        return int(set_to[1])
    info = shown.get("model_info")
    made_for = [
        value
        for key, value in (info.items() if isinstance(info, dict) else ())
        if key.endswith(".context_length") and isinstance(value, int) and value > 0
    ]
    return min([*made_for, _CONTEXT])
