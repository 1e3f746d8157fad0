"""Registered versions of the tiny adapters, a served set in its own process, and clients that ask it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter, Metadata
from lora_tui.adapters.serving import sets, starting, status
from lora_tui.adapters.serving.sets import Served
from lora_tui.workspace.layout import Workspace
from tiny_models import TinyModels


def register(workspace: Workspace, models: TinyModels, which: str, name: str = "coder", version: str = "") -> Adapter:
    """A version of `name` that answers as the tiny adapter "a" or "b"."""

    def fill(draft: Path) -> None:
        shutil.copytree(models.adapter(which), draft, dirs_exist_ok=True)

    return registry.add(workspace, Metadata(name=name, version=version, base=str(models.base)), fill)


@contextmanager
def serving(
    workspace: Workspace, base: Path, adapters: Sequence[str], engine: str = "llama-cpp", **more: Any
) -> Iterator[Served]:
    """A set in its own process, ready, with a router; stopped at the end."""
    wanted = sets.Set(
        name="set",
        workspace=str(workspace.root),
        base=str(base),
        base_name="tiny",
        engine=engine,
        adapters=tuple(adapters),
        **{"route": True, **more},
    )
    one = sets.create(workspace, wanted)
    try:
        starting.start(one)
        yield one
    finally:
        sets.stop(one)


def url(one: Served) -> str:
    """Where clients ask."""
    state = one.state
    assert state is not None
    return state.url


def chat(one: Served, model: str, prompt: str = "Hello", **more: Any) -> httpx.Response:
    """One answer that is not streamed."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 24, "temperature": 0}
    return httpx.post(f"{url(one)}/chat/completions", json={**body, **more}, timeout=60, verify=False)


def said(response: httpx.Response) -> str:
    """The answer's words."""
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"]).strip()


class Answer(msgspec.Struct):
    """One streamed answer as a client sees it."""

    begun: float  # time.monotonic()
    text: str = ""
    models: list[str] = []  # that its chunks name
    error: str = ""
    done: bool = False


async def stream(client: httpx.AsyncClient, address: str, model: str, prompt: str = "Hello", most: int = 24) -> Answer:
    """Ask for a stream and read it to its end."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": most, "temperature": 0}
    found = Answer(begun=time.monotonic(), models=[])
    try:
        async with client.stream("POST", f"{address}/chat/completions", json={**body, "stream": True}) as response:
            if response.status_code != 200:
                data = json.loads(await response.aread())
                found.error = f"{response.status_code} {data['error']['message']}"
                return found
            async for line in response.aiter_lines():
                if line == "data: [DONE]":
                    found.done = True
                elif line.startswith("data:"):
                    chunk = json.loads(line[5:])
                    if "error" in chunk:
                        found.error = chunk["error"]["message"]
                        continue
                    found.models.append(chunk["model"])
                    for choice in chunk["choices"]:
                        found.text += (choice.get("delta") or {}).get("content") or ""
    except httpx.HTTPError as error:
        found.error = repr(error)
    return found


def figures(one: Served, version: str) -> status.Figures:
    """One version's figures, as a screen would have them."""
    return next(row for row in status.of(one).versions if row.version == version)


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is true. Raises AssertionError when it is not after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
