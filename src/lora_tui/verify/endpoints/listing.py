"""GET …/models: the names that a server says it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lora_tui.verify.asking import EndpointFault
from lora_tui.verify.endpoints.refusals import refused
from lora_tui.verify.endpoints.server import Server
from lora_tui.workspace.keys import hidden

_SHOWN = 12  # names in an error


async def served(server: Server, path: str) -> dict[str, dict[str, Any]]:
    """Name -> its entry. Raises EndpointFault: "refused", "malformed" where it is no list of models."""
    async with server.request("GET", path) as reply:
        body = await reply.read()
        if reply.status != 200:
            raise refused(server, "", reply.status, reply.headers, body)
    found = entries(body)
    if found is None:
        raise server.fault("malformed", "sent no list of models", fix="Check the address.")
    return found


def entries(body: bytes) -> dict[str, dict[str, Any]] | None:
    """OpenAI's {"data": [{"id"}]}, or the bare list that Together sends; None where it is neither."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    data = found.get("data") if isinstance(found, dict) else found
    if not isinstance(data, list):
        return None
    return {str(one["id"]): one for one in data if isinstance(one, dict) and one.get("id")}


def entry(server: Server, found: Mapping[str, dict[str, Any]], model: str) -> dict[str, Any]:
    """The entry of a name. Raises EndpointFault: "wrong-model"."""
    if model not in found:
        raise absent(server, model, list(found))
    return found[model]


def absent(server: Server, model: str, names: list[str]) -> EndpointFault:
    """The fault of a server that does not serve a name."""
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    fix = f"It serves: {hidden(shown)}." if names else "It serves nothing."
    return server.fault("wrong-model", f"does not serve {model}", fix=fix)
