"""The process of a served set: its engine, its router, and what it is asked over its control socket.

aliases.json is the truth of what a name means. A promotion writes it and says so; where nobody said it, because who
promoted was killed or used another door, it is read within a second and carried out the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.serving import control, engines, sets, specialists, status
from lora_tui.adapters.serving.accounts import Accounts
from lora_tui.adapters.serving.changes import Changes, check_intact, version
from lora_tui.adapters.serving.engine import BASE, Engine, Setting
from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.process import HOST
from lora_tui.adapters.serving.router import Router
from lora_tui.adapters.serving.sets import Served, State
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_SAVE = 60.0  # seconds between savings of the sums
_SPARE = 2  # versions of a name beside the one in production: the standby and the one that comes
Say = Callable[[str], None]


def run(folder: Path, say: Say) -> None:
    """Serve the set in `folder` until SIGTERM, SIGINT or SIGHUP. Raises LoraTuiError when it cannot begin."""
    served = Served(folder, toml.load(folder / sets.SET, sets.Set))
    lock = sets.hold(folder)
    try:
        sets.sweep(folder)
        asyncio.run(_Server(served, say).run())
    finally:
        os.close(lock)


class _Server:
    """Everything of one served set, from its first to its last moment."""

    def __init__(self, served: Served, say: Say) -> None:
        self._set, self._folder, self._say = served.set, served.folder, say
        self._workspace = Workspace(Path(self._set.workspace))
        self._state = State(pid=os.getpid(), started=sets.process_started(os.getpid()))
        self._stop = asyncio.Event()
        current, self._first, follows = _wanted(self._workspace, self._set.adapters)
        self._names = Names(self._set.base_name, current, pin=self._set.pin)
        self._names.specialists = specialists.specialists(self._workspace, current.values(), self._set.languages)
        self._engine: Engine = engines.engine(self._set.engine, self._setting())
        self._accounts = Accounts(self._folder)
        self._router = Router(self._engine, self._names, self._accounts, lambda: list(self._changes.loaded))
        self._changes = Changes(
            self._workspace,
            self._folder,
            self._engine,
            self._names,
            self._router if self._set.route else None,
            follows,
            self._tell,
        )

    async def run(self) -> None:
        """Until it is asked to stop. Raises LoraTuiError when the engine does not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        last = {"state": "stopped"}
        try:
            async with control.listening(self._asked) as path:
                url = await self._listen()
                self._tell(control=path, url=url)
                await self._serve()
        except LoraTuiError as error:
            last = {"state": "failed", "why": str(error)}
            raise
        finally:
            self._say(f"{self._set.name} stops")
            await self._router.close()
            await self._engine.stop()
            self._accounts.close()
            with contextlib.suppress(LoraTuiError):
                self._tell(control="", url="", **last)

    async def _serve(self) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        starting = asyncio.create_task(self._engine.start([version(item) for item in self._first]))
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        starting.result()
        await self._changes.begin(self._first, self._say)
        base = self._engine.target(BASE)
        direct = f"http://{HOST}:{base.pool.port}/v1" if base is not None else ""
        self._tell(state="ready", url=self._state.url or direct)
        self._say(f"{self._set.name} is served at {self._state.url}")
        beside = [asyncio.create_task(self._changes.follow(self._say)), asyncio.create_task(self._save_sums())]
        await asyncio.wait([stopping, *beside], return_when=asyncio.FIRST_COMPLETED)
        for task in beside:
            task.cancel()
        for found in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(found, Exception):
                raise found

    async def _listen(self) -> str:
        """Begin to answer, with "not yet" until the engine is there. Returns the URL, "" without a router."""
        if not self._set.route:
            return ""
        try:
            port = await self._router.listen(HOST, self._set.port)
        except OSError as error:
            raise BadInput(
                f"cannot listen on port {self._set.port}: {error.strerror}", fix="Give another --port."
            ) from error
        return f"http://{HOST}:{port}/v1"

    def _setting(self) -> Setting:
        wanted, count = self._set, len(self._names.current)
        return Setting(
            base=wanted.base,
            base_name=wanted.base_name,
            folder=self._folder,
            cache=self._workspace.root / "cache",
            program=wanted.program,
            options=wanted.options,
            slots=max(len(self._first), count * (1 + _SPARE)),
            max_rank=wanted.max_rank or engines.max_rank([item.metadata.r for item in self._first]),
            context=wanted.context,
            parallel=wanted.parallel,
            port=0 if wanted.route else wanted.port,
            say=self._say,
        )

    def _tell(self, **changed: Any) -> None:
        """Write down where it stands."""
        self._state = msgspec.structs.replace(self._state, names=dict(self._names.current), **changed)
        atomic.write_bytes(self._folder / sets.STATE, msgspec.json.format(msgspec.json.encode(self._state)))

    async def _asked(self, asked: dict[str, Any], say: Say) -> dict[str, Any]:
        """One request over the control socket; while the engine starts only for how it stands."""
        if asked.get("do") == "status":
            parts = await asyncio.to_thread(status.parts, self._engine.processes())
            found = status.live(self._set, self._state, parts, self._names, self._changes.loaded, self._accounts)
            return {"status": msgspec.to_builtins(found)}
        if self._state.state != "ready":
            raise LoraTuiError(f"{self._set.name} is {self._state.state}", fix="Try again when it is ready.")
        match asked.get("do"):
            case "prepare":
                ask = bool(asked.get("ask", True))
                return await self._changes.prepare(str(asked["label"]), [*asked.get("prompts", ())], say, ask=ask)
            case "switch":
                return await self._changes.switch(str(asked["name"]), str(asked["label"]), say)
            case "drain":
                return {"drained": await self._changes.drain(str(asked["label"]), float(asked["wait"]))}
            case "release":
                self._changes.release(str(asked["label"]), self._say)
                return {}
            case "share":
                return await self._changes.share(str(asked["label"]), float(asked["percent"]), say)
            case other:
                raise BadInput(f"{other!r} is nothing that a server does")

    async def _save_sums(self) -> None:
        while True:
            await asyncio.sleep(_SAVE)
            with contextlib.suppress(LoraTuiError):
                self._accounts.save()


def _wanted(workspace: Workspace, named: Sequence[str]) -> tuple[dict[str, str], list[Adapter], set[str]]:
    """What each name means to begin with, the versions to load, and the names that follow production.

    NAME is the version in production, else the newest; NAME@VERSION is that one until another is promoted.
    """
    current: dict[str, str] = {}
    found: dict[str, Adapter] = {}
    follows = set()
    pointed = aliases.aliases(workspace)
    for text in named:
        name, _, given = text.partition("@")
        production = "" if given else pointed.get(name, {}).get(aliases.PRODUCTION, "")
        item = registry.find(workspace, production or text)
        current[name] = item.label
        found[item.label] = item
        if not given:
            follows.add(name)
        standby = pointed.get(name, {}).get(aliases.STANDBY, "") if production else ""
        if standby:
            with contextlib.suppress(BadInput):  # it was removed meanwhile
                found[standby] = registry.find(workspace, standby)
    for item in found.values():
        check_intact(item)
    return current, list(found.values()), follows
