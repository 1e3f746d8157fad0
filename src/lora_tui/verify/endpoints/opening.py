"""All sides of a comparison, ready to be asked, and let go of together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lora_tui.verify.asking import Endpoint
from lora_tui.verify.endpoints import any_server, llama_cpp, local, vllm
from lora_tui.verify.endpoints.chat import Chat, Known
from lora_tui.verify.endpoints.naming import Named, parsed
from lora_tui.verify.endpoints.ollama import Ollama
from lora_tui.verify.endpoints.server import Patience, Server
from lora_tui.verify.endpoints.together import together
from lora_tui.workspace.keys import Key, has_key, key
from lora_tui.workspace.layout import Workspace

_KEYS = {"openai": "OPENAI_API_KEY", "vllm": "VLLM_API_KEY", "llama-cpp": "LLAMA_API_KEY"}
_CHAT = "/chat/completions"


@asynccontextmanager
async def opened(
    workspace: Workspace,
    names: Sequence[str],
    folder: Path,
    *,
    patience: Patience | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[list[Endpoint]]:
    """An endpoint for each name, in their order. Logs of processes that are started here go into `folder`.

    `tell` hears what is started, which takes its time: a whole base is loaded.
    Raises BadInput for a name that cannot be meant or a key that is missing, LoraTuiError where a worker does not
    start. Whatever was started is ended with the block, and by the system when this process is killed.
    """
    patience = patience or Patience()
    every = [parsed(name) for name in names]
    async with AsyncExitStack() as stack:
        sides = [local.side(workspace, one) if one.kind in ("base", "adapter") else None for one in every]
        workers = await _started(stack, [one for one in sides if one is not None], folder, tell)
        found: list[Endpoint] = []
        for named, one in zip(every, sides, strict=True):
            made: Endpoint = workers[one.worker].endpoint(one, patience) if one else _remote(named, patience)
            stack.push_async_callback(made.close)
            found.append(made)
        yield found


async def _started(
    stack: AsyncExitStack, sides: Sequence[local.Side], folder: Path, tell: Callable[[str], None]
) -> dict[str, local.Worker]:
    groups: dict[str, list[local.Side]] = {}
    for one in sides:
        groups.setdefault(one.worker, []).append(one)
    found = {}
    for number, (which, group) in enumerate(groups.items(), start=1):
        worker = found[which] = local.Worker(number, group, folder)
        stack.push_async_callback(worker.process.stop)
        tell(f"load {worker.name}")
        await worker.start()
    return found


def _remote(named: Named, patience: Patience) -> Endpoint:
    if named.kind == "together":
        return together(named.name, named.model, patience)
    if named.kind == "ollama":
        from lora_tui.adapters.exporting.ollama_api import address

        return Ollama(named.name, Server(named.name, address(), patience), named.model)
    root, api = _parts(named.url)
    server = Server(named.name, root, patience, _key(named.kind))

    async def find() -> Known:
        if named.kind == "vllm":
            return await vllm.known(server, named.model)
        if named.kind == "llama-cpp":
            return await llama_cpp.known(server, named.model)
        return await any_server.known(server, api, named.model)

    return Chat(named.name, server, (api if named.kind == "openai" else "/v1") + _CHAT, find)


def _parts(url: str) -> tuple[str, str]:
    """A server's own address, and the path below it under which the dialect is spoken: /v1, unless another is named."""
    root = url.removesuffix("/v1")
    has_path = "/" in root.partition("://")[2]
    return root, "" if has_path and root == url else "/v1"


def _key(kind: str) -> Key | None:
    """The key for servers of a kind, where there is one. Raises BadInput for one that no header can carry."""
    name = _KEYS[kind]
    return key(name) if has_key(name) else None
