"""A model or an endpoint at Together, as its SDK asks it (together 3.1): chat has a host of its own.

Together serves no name it does not have, so a name is proven by an answer of one token: an adapter or an endpoint of
one's own is in no list. What runs behind a name may change any day: it has no digest.
"""

from __future__ import annotations

import os

from lora_tui.backends.service_address import service_address
from lora_tui.verify.asking import EndpointFault, Identity
from lora_tui.verify.endpoints import listing
from lora_tui.verify.endpoints.chat import Chat, Known, answers_as
from lora_tui.verify.endpoints.server import Patience, Server
from lora_tui.workspace.keys import key

_KEY, _ADDRESS = "TOGETHER_API_KEY", "TOGETHER_BASE_URL"
_AT, _CHAT_AT = "https://api.together.ai", "https://api-inference.together.ai"
_PATH = "/v1/chat/completions"
_PLAIN = {"top_p": 1.0, "repetition_penalty": 1.0}


def together(name: str, model: str, patience: Patience) -> Chat:
    """The endpoint. Raises BadInput where there is no key, or its address is none."""
    secret = key(_KEY, fix=f"export {_KEY}=… (a key of api.together.ai), or: keyring set lora-tui {_KEY}")
    at = service_address(_ADDRESS, _AT).removesuffix("/v1").rstrip("/")
    server = Server(name, _CHAT_AT if at == _AT and not os.environ.get(_ADDRESS) else at, patience, secret)

    async def find() -> Known:
        lists = Server(name, at, patience, secret)
        try:
            names = tuple(await listing.served(lists, "/v1/models"))
        finally:
            await lists.close()
        says = await _answers(server, model)
        notes = (f"it calls the model {says}",) if says not in ("", model) else ()
        return Known(Identity(engine="together", model=model, served=names, notes=notes), says=says, more=_PLAIN)

    return Chat(name, server, _PATH, find)


async def _answers(server: Server, model: str) -> str:
    """The model that an answer names. Raises EndpointFault: "wrong-model"."""
    try:
        return await answers_as(server, _PATH, model)
    except EndpointFault as fault:
        if fault.code != "refused" or model not in fault.what:
            raise
        fix = "Public models are in `lora-tui together models`; an endpoint of yours must be running."
        raise EndpointFault("wrong-model", fault.what, where=fault.where, fix=fix) from fault
