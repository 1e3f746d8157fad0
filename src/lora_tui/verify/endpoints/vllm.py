"""Who answers at a vLLM server: /v1/models names each adapter's folder (`root`) and base (`parent`)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from lora_tui.backends.hardware import gpus
from lora_tui.verify.asking import Identity
from lora_tui.verify.endpoints import digests, listing
from lora_tui.verify.endpoints.chat import Known, answers_as, messages
from lora_tui.verify.endpoints.server import Server

# Left out, they are what the model's generation_config.json says, which other engines do not read.
PLAIN = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
_MAX_LORA = re.compile(r'^vllm:lora_requests_info\{[^}]*max_lora="(\d+)"', re.MULTILINE)
_MIXED = (
    "vLLM on a CPU gives a base's request the last adapter's weights where all its slots are taken (vLLM #48421): "
    "start it with --max-loras one higher than there are adapters, or compare with one request at a time"
)


class VllmTokens:
    """Its /tokenize."""

    def __init__(self, server: Server, model: str) -> None:
        self._server, self._model = server, model

    async def of_prompt(self, prompt: str) -> int | None:
        """Of the chat, rendered by its template."""
        return await self._ask({"messages": messages(prompt), "add_generation_prompt": True})

    async def of_text(self, text: str) -> int | None:
        """Of plain text."""
        return await self._ask({"prompt": text, "add_special_tokens": False})

    async def _ask(self, asked: dict[str, Any]) -> int | None:
        status, found = await self._server.post("/tokenize", {"model": self._model, **asked})
        count = found.get("count") if status == 200 and isinstance(found, dict) else None
        return count if isinstance(count, int) else None


async def known(server: Server, model: str) -> Known:
    """Raises EndpointFault: "wrong-model" where it serves no such name."""
    entries = await listing.served(server, "/v1/models")
    status, found = await server.get("/version")
    version = str(found.get("version", "")) if status == 200 and isinstance(found, dict) else ""
    names = tuple(entries)
    entry = listing.entry(server, entries, model)
    parent = str(entry.get("parent") or "")
    pid, begun = await asyncio.to_thread(digests.holder, server.host, server.port)
    roots = [str(entry.get("root") or ""), *([str(entries.get(parent, {}).get("root") or "")] if parent else [])]
    files = [digests.of_files(Path(root), before=begun) if pid and root else "" for root in roots]
    adapters = [name for name, one in entries.items() if one.get("parent")]
    notes = [f"{name} is the same model" for name, one in entries.items() if name != model and _same(one, entry)]
    if not parent and adapters and not (pid and gpus()) and len(adapters) >= await _slots(server, model):
        notes.append(_MIXED)
    identity = Identity(
        engine="vllm",
        model=model,
        version=version,
        digest=digests.of("vllm", version or f"since {begun}", digests.start_of(pid, begun) if pid else "", *files),
        served=names,
        pid=pid,
        notes=tuple(notes),
    )
    return Known(identity, says=model, more=PLAIN, tokens=VllmTokens(server, model))


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two names stand for the same weights."""
    return bool(one.get("root")) and (one.get("root"), one.get("parent")) == (other.get("root"), other.get("parent"))


async def _slots(server: Server, model: str) -> int:
    """Adapters that it holds at once; 0 where its metrics do not tell, which they do from its first answer on."""
    found = await _told(server)
    if found is None:
        await answers_as(server, "/v1/chat/completions", model)
        found = await _told(server)
    return int(found[1]) if found else 0


async def _told(server: Server) -> re.Match[str] | None:
    async with server.request("GET", "/metrics") as reply:
        text = (await reply.read()).decode(errors="replace") if reply.status == 200 else ""
    return _MAX_LORA.search(text)
