"""What changes while a set is served: a version comes, a name's meaning moves, a version goes.

Each is carried out beside the traffic: a version is loaded under its own name and asked before any name means it, and
it goes when its last answer is complete. One change at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.serving import golden
from lora_tui.adapters.serving.engine import BASE, Engine, Version
from lora_tui.adapters.serving.golden import Fingerprints
from lora_tui.adapters.serving.names import Names, Trial
from lora_tui.adapters.serving.router import Router
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_SAY_AGAIN = 300.0  # seconds between remarks that a version still answers
_LOOK = 0.5  # seconds between looks at aliases.json
_TRY_AGAIN = 60.0  # seconds after a version that could not be brought in
_TRIALS = "trials.json"
Say = Callable[[str], None]


class Changes:
    """Of one served set. `follows`: the names that mean whatever is in production."""

    def __init__(
        self,
        workspace: Workspace,
        folder: Path,
        engine: Engine,
        names: Names,
        router: Router | None,
        follows: Iterable[str],
        changed: Callable[[], None],
    ) -> None:
        self.loaded: dict[str, Adapter] = {}
        self._workspace, self._folder = workspace, folder
        self._engine, self._names, self._router = engine, names, router
        self._follows = set(follows)
        self._changed = changed
        self._fingerprints = Fingerprints(folder)
        self._base_answers: dict[tuple[str, ...], list[str]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._beside: set[asyncio.Task[None]] = set()

    async def begin(self, loaded: Iterable[Adapter], say: Say) -> None:
        """The engine has started with these."""
        self.loaded.update({item.label: item for item in loaded})
        for name, label in self._names.current.items():
            await self._tell_engine(name, label, say)

    async def prepare(self, label: str, prompts: Sequence[str], say: Say, *, ask: bool = True) -> dict[str, Any]:
        """Load a version and see that it answers, and as itself. Where it does not, all stays as it was.

        ask: also where it is loaded and ready, and was asked when it came.
        Returns {label, effect, known, answers}: `effect` is False where its answers are the base's own, `known` that
        they are those it gave before. Raises LoraTuiError.
        """
        item = registry.find(self._workspace, label)
        async with self._one_at_a_time:
            was_loaded = item.label in self.loaded
            target = self._engine.target(item.label)
            if was_loaded and not ask and target is not None and target.is_ready:
                return {"label": item.label, "effect": True, "known": True, "answers": []}
            if not was_loaded:
                check_intact(item)
                say(f"loading {item.label}")
                await self._engine.load(version(item))
            try:
                found = await self._ask(item.label, tuple(prompts) or golden.PROMPTS, say)
            except BaseException:
                if not was_loaded:
                    await self._engine.unload(item.label)
                raise
            self.loaded[item.label] = item
        return {"label": item.label, **found}

    async def switch(self, name: str, label: str, say: Say) -> dict[str, Any]:
        """From the next request on `name` means a version that is loaded. Returns what it meant before.

        Raises LoraTuiError where another was put into production since this one was prepared.
        """
        if name not in self._names.current:
            raise BadInput(f"{name} is not served here")
        if label not in self.loaded:
            raise LoraTuiError(f"{label} is not loaded", fix="Promote it again.")
        if (decided := self._in_production(name)) not in ("", label):
            raise LoraTuiError(f"{name} was made {decided} meanwhile", fix="Promote it again if it should be this one.")
        before = self._names.current[name]
        self._names.switch(name, label)
        self._keep_trials()
        self._follows.add(name)
        self._changed()
        say(f"{name} is {label}")
        await self._tell_engine(name, label, say)
        self._let_go_beside(name, say)
        return {"before": before, "flying": self._flying(before)}

    def release(self, label: str, say: Say) -> None:
        """A version that was prepared and will not be promoted goes again, unless something else needs it."""
        self._let_go_beside(label.partition("@")[0], say, label)

    def _let_go_beside(self, name: str, say: Say, label: str = "") -> None:
        task = asyncio.create_task(self._let_go(name, say, label))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _tell_engine(self, name: str, label: str, say: Say) -> None:
        try:
            await self._engine.means(name, label)
        except LoraTuiError as error:  # who asks through the router does not see it
            say(f"the engine itself calls another version {name}: {error}")

    async def drain(self, label: str, seconds: float) -> bool:
        """Wait until no request under way is answered by a version; False when some are after `seconds`."""
        return self._router is None or await self._router.drained(label, seconds)

    async def share(self, label: str, percent: float, say: Say) -> dict[str, Any]:
        """Send a share of a name's conversations to a version (an A/B); 0 ends it."""
        if self._router is None:
            raise BadInput("only the router splits traffic", fix="Serve with --route.")
        name = label.partition("@")[0]
        if name not in self._names.current:
            raise BadInput(f"{name} is not served here")
        if percent > 0:
            found = await self.prepare(label, (), say)
            self._names.trials[name] = Trial(str(found["label"]), min(percent, 100.0))
        else:
            self._names.trials.pop(name, None)
        self._keep_trials()
        return {"trials": msgspec.to_builtins(self._names.trials)}

    async def follow(self, say: Say) -> None:
        """Go on with the trials that were under way, then do what aliases.json says and nobody told."""
        for name, trial in self._trials_from_disk().items():
            with contextlib.suppress(LoraTuiError):
                await self.prepare(trial.version, (), say)
                self._names.trials[name] = trial
        refused: dict[str, float] = {}  # label -> time.monotonic() from which on it is tried again
        while True:
            await asyncio.sleep(_LOOK)
            try:
                pointed = aliases.aliases(self._workspace)
            except LoraTuiError:
                continue
            for name in self._follows & self._names.current.keys():
                label = pointed.get(name, {}).get(aliases.PRODUCTION, "")
                now = self._names.current[name]
                if label in ("", now) or refused.get(label, 0.0) > time.monotonic():
                    continue
                try:
                    await self.prepare(label, (), say)
                    if self._in_production(name) == label:  # else another came meanwhile
                        await self.switch(name, label, say)
                except LoraTuiError as error:
                    refused[label] = time.monotonic() + _TRY_AGAIN
                    say(f"{name} stays {now}: {error}")

    async def _ask(self, label: str, prompts: tuple[str, ...], say: Say) -> dict[str, Any]:
        target, base = self._engine.target(label), self._engine.target(BASE)
        if target is None or base is None:
            raise LoraTuiError(f"{label} is not loaded")
        say(f"asking {label} {len(prompts)} prompts")
        texts = await golden.answers(target, prompts)
        known = self._fingerprints.known(label, self._engine.kind, texts)
        if not known and prompts not in self._base_answers:
            self._base_answers[prompts] = await golden.answers(base, prompts)
        effect = known or texts != self._base_answers[prompts]
        if effect and not known:
            self._fingerprints.keep(label, self._engine.kind, texts)
        return {"effect": effect, "known": known, "answers": texts}

    async def _let_go(self, name: str, say: Say, one: str = "") -> None:
        """Unload the versions of a name that neither serve nor stand by, each when its last answer is complete.

        one: only this.
        """
        try:
            pointed = aliases.aliases(self._workspace).get(name, {})
        except LoraTuiError:  # damaged: who stands by is not known, and nobody goes
            return
        kept = self._names.used(name) | {pointed.get(aliases.PRODUCTION), pointed.get(aliases.STANDBY)}
        going = [label for label in self.loaded if label.partition("@")[0] == name and label not in kept]
        for label in [label for label in going if one in ("", label)]:
            del self.loaded[label]
            while not await self.drain(label, _SAY_AGAIN):
                say(f"{label} still answers {self._flying(label)} requests, and is unloaded after them")
            async with self._one_at_a_time:
                if label not in self.loaded:  # nobody brought it back meanwhile
                    self._names.forget(label)
                    await self._engine.unload(label)
                    say(f"{label} is unloaded")

    def _in_production(self, name: str) -> str:
        return aliases.aliases(self._workspace).get(name, {}).get(aliases.PRODUCTION, "")

    def _flying(self, label: str) -> int:
        return self._router.flying(label) if self._router is not None else 0

    def _keep_trials(self) -> None:
        path, now = self._folder / _TRIALS, msgspec.json.encode(self._names.trials)
        if self._names.trials or path.exists():
            atomic.write_bytes(path, now)

    def _trials_from_disk(self) -> dict[str, Trial]:
        try:
            found = msgspec.json.decode((self._folder / _TRIALS).read_bytes(), type=dict[str, Trial])
        except (OSError, msgspec.DecodeError):
            return {}
        return {name: trial for name, trial in found.items() if name in self._names.current}


def check_intact(item: Adapter) -> None:
    """Raises LoraTuiError where a file is not what SHA256SUMS says."""
    damaged = registry.damaged_files(item)
    if damaged:
        raise LoraTuiError(
            f"{item.label} is damaged: {', '.join(damaged)}",
            where=str(item.folder),
            fix="Restore it from a copy, or promote another version.",
        )


def version(item: Adapter) -> Version:
    """What an engine needs to know of it."""
    return Version(item.label, item.folder, item.metadata.r)
