"""Who answers at a server of OpenAI's dialect: its engine where it shows one, else what its names prove.

Some servers answer 200 to any name. So one is asked for a name that nobody has: where it is served, names prove
nothing there.
"""

from __future__ import annotations

import re
from typing import Any

from lora_tui.verify.asking import EndpointFault, Identity
from lora_tui.verify.endpoints import listing, llama_cpp, ollama_facts, vllm
from lora_tui.verify.endpoints.chat import Known, answers_as
from lora_tui.verify.endpoints.server import Server

_DATED = re.compile(r"-(\d{4}-\d\d-\d\d|\d{4,8})")  # gpt-4o is gpt-4o-2024-08-06, and both are listed
_NOBODY = "no-model-has-this-name"


async def known(server: Server, api: str, model: str) -> Known:
    """`api`: the path under which the dialect is spoken. Raises EndpointFault: "wrong-model", "unreachable"."""
    try:
        entries = await listing.served(server, f"{api}/models")
    except EndpointFault as error:
        if error.code not in ("refused", "malformed"):
            raise
        entries = {}
    owners = {str(one.get("owned_by") or "") for one in entries.values()}
    if owners == {"vllm"}:
        return await vllm.known(server, model)
    if owners == {"llamacpp"}:
        return await llama_cpp.known(server, model)
    if await ollama_facts.is_ollama(server):
        return await ollama_facts.known_to_openai(server, model)
    return await _by_names(server, api, model, entries)


async def _by_names(server: Server, api: str, model: str, entries: dict[str, Any]) -> Known:
    path = f"{api}/chat/completions"
    says = await answers_as(server, path, model)
    if says != model and says in entries and not _means(model, says, entries.get(model, {})):
        raise server.fault(
            "wrong-model",
            f"answers as {says} when it is asked for {model}",
            fix="If that is the model you mean, name it so.",
        )
    notes = []
    if not says:
        notes.append("its answers do not say which model they are from")
    elif says != model:
        notes.append(f"it calls the model {says}")
    proven = True
    try:
        anyone = await answers_as(server, path, _NOBODY)
        proven = False
        notes.append(f"it answers to any name{f' (as {anyone})' if anyone else ''}: that {model} answers is not proven")
    except EndpointFault as error:
        if error.code in ("hang", "rate-limited"):
            raise
    if not proven and entries and model not in entries:
        raise listing.absent(server, model, list(entries))
    identity = Identity(engine="openai", model=model, proven=proven, served=tuple(entries), notes=tuple(notes))
    return Known(identity, says=says)


def _means(model: str, says: str, entry: dict[str, Any]) -> bool:
    """Whether one name of the list stands for the other: the list says so, or it is the name with a date."""
    stem = model.removesuffix("-latest")
    return entry.get("root") == says or (says.startswith(stem) and _DATED.fullmatch(says[len(stem) :]) is not None)
