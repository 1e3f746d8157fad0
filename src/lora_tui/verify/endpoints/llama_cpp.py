"""Who answers at a llama.cpp server, which answers 200 to any name: its model, and each request's adapter scales.

Its prompt cache ignores the adapter (ggml-org/llama.cpp#26207): it is left out of every request, without which one
server with two adapters answers wrongly a third of the time. Adapter ids that are left out of a request keep the
server's own scale, and an empty list means that too: every id is always named.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.verify.asking import Identity
from lora_tui.verify.endpoints import digests, listing
from lora_tui.verify.endpoints.chat import Known, messages
from lora_tui.verify.endpoints.server import Server

BASE = "base"  # as a name: the model without any adapter
# Its own defaults are top_k 40, top_p 0.95, min_p 0.05, or what it was started with.
PLAIN = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0, "cache_prompt": False}


class _Lora(msgspec.Struct):
    id: int
    path: str = ""
    scale: float = 0.0
    task_name: str = ""

    @property
    def names(self) -> set[str]:
        return {name for name in (Path(self.path).stem, self.task_name) if name}


class LlamaTokens:
    """Its /apply-template and /tokenize."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def of_prompt(self, prompt: str) -> int | None:
        """Of the chat, rendered by its template."""
        status, found = await self._server.post("/apply-template", {"messages": messages(prompt)})
        text = found.get("prompt") if status == 200 and isinstance(found, dict) else None
        return await self._count(text, special=True) if isinstance(text, str) else None

    async def of_text(self, text: str) -> int | None:
        """Of plain text."""
        return await self._count(text, special=False)

    async def _count(self, text: str, *, special: bool) -> int | None:
        asked = {"content": text, "add_special": special, "parse_special": special}
        status, found = await self._server.post("/tokenize", asked)
        tokens = found.get("tokens") if status == 200 and isinstance(found, dict) else None
        return len(tokens) if isinstance(tokens, list) else None


async def known(server: Server, name: str) -> Known:
    """`name` "": as the server is set. Raises EndpointFault: "wrong-model" where no adapter or model has the name."""
    entries = await listing.served(server, "/v1/models")
    status, props = await server.get("/props")
    props = props if status == 200 and isinstance(props, dict) else {}
    loras = await _loras(server)
    alias = next(iter(entries), str(props.get("model_alias") or ""))
    file = str(props.get("model_path") or "")
    scales, notes = _scales(server, name, entries, Path(file).stem if file else "", loras)
    pid, begun = await asyncio.to_thread(digests.holder, server.host, server.port)
    used = [file, *(one.path for one in loras if scales.get(one.id))]
    files = [digests.of_files(Path(path), before=begun) if pid and path else "" for path in used]
    build = str(props.get("build_info") or "")
    stamp = build if build and not build.startswith("b0") else f"since {begun}"  # wheels carry no build number
    setting = [str(props.get(key)) for key in ("chat_template", "n_ctx", "default_generation_settings")]
    setting.append(digests.start_of(pid, begun) if pid else "")
    identity = Identity(
        engine="llama.cpp",
        model=name or alias,
        version=build,
        digest=digests.of("llama.cpp", stamp, str(sorted(scales.items())), *setting, *files),
        served=(*entries, *([BASE] if loras else []), *(stem for one in loras for stem in sorted(one.names))),
        slots=slots if isinstance(slots := props.get("total_slots"), int) else 0,
        pid=pid,
        notes=tuple(notes),
    )
    more: dict[str, Any] = {**PLAIN, "model": alias}
    if loras:
        more["lora"] = [{"id": one.id, "scale": scales[one.id]} for one in loras]
    return Known(identity, says=alias, more=more, tokens=LlamaTokens(server))


def _scales(
    server: Server, name: str, entries: dict[str, dict[str, Any]], stem: str, loras: list[_Lora]
) -> tuple[dict[int, float], list[str]]:
    chosen = [one for one in loras if name in one.names]
    if len(chosen) == 1:
        scale = chosen[0].scale or 1.0
        notes = [f"{name} alone, at scale {scale:g}"] if scale != 1 else []
        return {one.id: scale if one is chosen[0] else 0.0 for one in loras}, notes
    if len(chosen) > 1:
        raise server.fault("wrong-model", f"has {len(chosen)} adapters called {name}", fix="Rename their files.")
    if loras and name in (BASE, stem):
        return {one.id: 0.0 for one in loras}, []
    aliases = {alias for one in entries.values() for alias in one.get("aliases") or ()}
    if name and name not in (*entries, *aliases, *(() if loras else (BASE, stem))):
        names = [*entries, *(found for one in loras for found in sorted(one.names)), *([BASE] if loras else [])]
        raise listing.absent(server, name, names)
    on = [f"{Path(one.path).stem} at {one.scale:g}" for one in loras if one.scale]
    notes = [f"with the server's own adapter scales: {', '.join(on) or 'no adapter on'}"] if loras else []
    return {one.id: one.scale for one in loras}, notes


async def _loras(server: Server) -> list[_Lora]:
    status, found = await server.get("/lora-adapters")
    if status != 200:
        return []
    try:
        return msgspec.convert(found, list[_Lora])
    except msgspec.ValidationError as error:
        raise server.fault("malformed", f"sent no list of adapters: {error}") from error
