"""Versions that come and go while a set is served: what is answered is never cut, what is decided is what is served."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapter_folders import factors, write_adapter
from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Metadata
from lora_tui.adapters.serving import changes as at
from lora_tui.adapters.serving.changes import Changes
from lora_tui.adapters.serving.engine import BASE, Target, Version
from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.process import State
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class Asked:
    """Stands for the connections to an engine: answers a version's own name."""

    def __init__(self, label: str) -> None:
        self.label = label

    async def ask(self, method: str, path: str, data: Any = None) -> tuple[int, bytes]:
        return 200, msgspec.json.encode({"choices": [{"message": {"content": f"I am {self.label}"}}]})


class Engine:
    """Loads anything at once."""

    kind = "none"

    def __init__(self) -> None:
        self.states: dict[str, State] = {BASE: "ready"}

    async def load(self, version: Version) -> None:
        self.states[version.label] = "ready"

    async def unload(self, label: str) -> None:
        self.states.pop(label, None)

    async def means(self, name: str, label: str) -> None: ...

    def target(self, label: str) -> Target | None:
        state = self.states.get(label)
        return None if state is None else Target(Asked(label), label, state)  # type: ignore[arg-type]


class Router:
    """Knows how many requests each version answers."""

    def __init__(self) -> None:
        self.under_way: dict[str, int] = {}

    def flying(self, label: str) -> int:
        return self.under_way.get(label, 0)

    async def drained(self, label: str, seconds: float) -> bool:
        await asyncio.sleep(min(seconds, 0.01))
        return not self.flying(label)


class Here:
    """Three versions, the first in production and served."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self.engine, self.router, self.said = workspace, Engine(), Router(), list[str]()
        made = write_adapter(folder / "made", factors({"model.layers.0.mlp.up_proj": (4, 4)}, 2, seed=1), r=2)
        for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
            registry.add(
                workspace,
                Metadata(name="coder", version=version, base="tiny"),
                lambda draft: shutil.copytree(made, draft, dirs_exist_ok=True),
            )
        self.names = Names("tiny", {"coder": "coder@1.0.0"})
        self.changes = Changes(workspace, folder, self.engine, self.names, self.router, ["coder"], lambda: None)  # type: ignore[arg-type]

    async def begin(self) -> None:
        item = registry.find(self.workspace, "coder@1.0.0")
        await self.engine.load(at.version(item))
        await self.changes.begin([item], self.said.append)

    async def put(self, version: str, *, standby: str = "") -> None:
        """Promote, as who promotes does."""
        await self.changes.prepare(f"coder@{version}", (), self.said.append)
        aliases.move(self.workspace, "coder", {"production": version, **({"standby": standby} if standby else {})})
        await self.changes.switch("coder", f"coder@{version}", self.said.append)

    async def until(self, gone: str) -> None:
        async with asyncio.timeout(5):
            while gone in self.engine.states:
                await asyncio.sleep(0.005)

    @property
    def there(self) -> Sequence[str]:
        return sorted(self.engine.states)[1:]


@pytest.fixture
def here(workspace: Workspace, tmp_path: Path) -> Here:
    return Here(workspace, tmp_path)


async def test_an_answer_that_takes_very_long_is_not_cut_by_later_promotions(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at, "_SAY_AGAIN", 0.02)
    await here.begin()
    here.router.under_way["coder@1.0.0"] = 1
    await here.put("1.1.0", standby="1.0.0")
    await here.put("1.2.0", standby="1.1.0")
    await asyncio.sleep(0.2)  # ten times as long as anything waits in one go
    assert here.there == ["coder@1.0.0", "coder@1.1.0", "coder@1.2.0"]
    assert "coder@1.0.0" not in here.changes.loaded  # and takes no further request
    assert any("still answers 1 requests" in words for words in here.said)
    here.router.under_way.clear()
    await here.until("coder@1.0.0")
    assert here.there == ["coder@1.1.0", "coder@1.2.0"]


async def test_of_two_promotions_at_once_the_one_decided_last_is_served(here: Here) -> None:
    await here.begin()
    for version in ("1.1.0", "1.2.0"):
        await here.changes.prepare(f"coder@{version}", (), here.said.append)
    for version in ("1.1.0", "1.2.0"):
        aliases.move(here.workspace, "coder", {"production": version})
    await here.changes.switch("coder", "coder@1.2.0", here.said.append)
    with pytest.raises(LoraTuiError, match=r"coder was made coder@1\.2\.0 meanwhile"):
        await here.changes.switch("coder", "coder@1.1.0", here.said.append)
    assert here.names.current == {"coder": "coder@1.2.0"}


async def test_going_back_to_a_version_whose_engine_died_asks_it_first(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.begin()
    await here.put("1.1.0", standby="1.0.0")
    found = await here.changes.prepare("coder@1.0.0", (), here.said.append, ask=False)
    assert found["answers"] == []  # it stands by: nothing is waited for

    async def broken(*_: object) -> tuple[int, bytes]:
        raise ConnectionResetError("nothing answers there")

    here.engine.states["coder@1.0.0"] = "restarting"
    monkeypatch.setattr(Asked, "ask", broken)
    with pytest.raises(LoraTuiError, match=r"coder@1\.0\.0 does not answer"):
        await here.changes.prepare("coder@1.0.0", (), here.said.append, ask=False)
    assert here.names.current == {"coder": "coder@1.1.0"}


async def test_a_version_that_was_prepared_for_nothing_goes_again_and_no_other(here: Here) -> None:
    await here.begin()
    aliases.move(here.workspace, "coder", {"production": "1.0.0"})
    for version in ("1.1.0", "1.2.0"):
        await here.changes.prepare(f"coder@{version}", (), here.said.append)
    for label in ("coder@1.1.0", "coder@1.0.0"):
        here.changes.release(label, here.said.append)
    await here.until("coder@1.1.0")
    assert here.there == ["coder@1.0.0", "coder@1.2.0"]
