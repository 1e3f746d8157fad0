"""How the served sets stand, as plain data for a screen: health, memory, requests, tokens/s, figures of versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.serving import control, sets
from lora_tui.adapters.serving.accounts import Accounts
from lora_tui.adapters.serving.engine import BASE
from lora_tui.adapters.serving.names import Names
from lora_tui.adapters.serving.process import Process
from lora_tui.adapters.serving.sets import Set, State
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_SECONDS = 5.0  # that a server may take to say how it stands


class Part(msgspec.Struct, frozen=True):
    """One process of an engine."""

    name: str
    state: str
    pid: int | None
    port: int
    restarts: int
    since: float  # epoch seconds
    why: str  # it ended last
    rss: int  # bytes, with the processes it started
    vram: int  # bytes; 0 where there is no NVIDIA GPU
    log: str


class Figures(msgspec.Struct, frozen=True):
    """One version's figures since the set was first served. `names`: what means it now."""

    version: str  # the base's name for the base
    loaded: bool
    names: tuple[str, ...] = ()
    trial: float = 0.0  # percent of its name's conversations
    running: int = 0
    requests: int = 0
    errors: int = 0
    left: int = 0
    cut: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    first_mean: float | None = None  # seconds to the first token
    whole_mean: float | None = None  # seconds of a whole answer


class Status(msgspec.Struct, frozen=True):
    """One served set. Figures of requests are the router's own: without --route there are none."""

    name: str
    base: str
    engine: str
    state: str  # starting, ready, failed, stopped; down: its process is gone without a word
    url: str = ""
    pid: int | None = None
    route: bool = False
    why: str = ""
    rss: int = 0
    vram: int = 0
    running: int = 0
    requests: int = 0
    tokens_per_second: float = 0.0
    parts: tuple[Part, ...] = ()
    versions: tuple[Figures, ...] = ()


def statuses(workspace: Workspace) -> list[Status]:
    """Every set that was served, those that are served now with what they say of themselves."""
    return [of(one) for one in sets.served(workspace)]


def of(one: sets.Served) -> Status:
    """How one set stands."""
    state = one.state
    if state is not None and one.is_alive:
        try:
            found = control.ask(one, "status", seconds=_SECONDS)["status"]
            return msgspec.convert(found, Status)
        except (LoraTuiError, msgspec.ValidationError) as error:
            return _plain(one.set, state, state.state, str(error))
    if state is None:
        return Status(one.set.name, one.set.base, one.set.engine, "stopped", route=one.set.route)
    ended = state.state if state.state in ("stopped", "failed") else "down"
    return _plain(one.set, state, ended, state.why)


def _plain(wanted: Set, state: State, word: str, why: str) -> Status:
    return Status(
        wanted.name, wanted.base, wanted.engine, word, url=state.url, pid=state.pid, route=wanted.route, why=why
    )


def parts(processes: Sequence[Process]) -> tuple[Part, ...]:
    """An engine's processes with their memory, which takes a while to ask."""
    memory = _gpu_memory()
    return tuple(_part(process, memory) for process in processes)


def live(
    wanted: Set,
    state: State,
    parts: tuple[Part, ...],
    names: Names,
    loaded: Mapping[str, Adapter],
    accounts: Accounts,
) -> Status:
    """For the server itself, between two requests: how it stands now."""
    known = [BASE, *{*loaded, *accounts.counts} - {BASE}]
    versions = tuple(_figures(label, wanted.base_name, names, loaded, accounts) for label in known)
    return Status(
        name=wanted.name,
        base=wanted.base,
        engine=wanted.engine,
        state=state.state,
        url=state.url,
        pid=state.pid,
        route=wanted.route,
        why=next((part.why for part in parts if part.state != "ready" and part.why), ""),
        rss=sum(part.rss for part in parts),
        vram=sum(part.vram for part in parts),
        running=accounts.running(),
        requests=sum(one.requests for one in accounts.counts.values()),
        tokens_per_second=accounts.tokens_per_second(),
        parts=parts,
        versions=versions,
    )


def _figures(label: str, base_name: str, names: Names, loaded: Mapping[str, Adapter], accounts: Accounts) -> Figures:
    counts = accounts.counts.get(label)
    trial = names.trials.get(label.partition("@")[0])
    figures = Figures(
        version=label or base_name,
        loaded=label == BASE or label in loaded,
        names=tuple(name for name, now in names.current.items() if now == label),
        trial=trial.percent if trial is not None and trial.version == label else 0.0,
    )
    if counts is None:
        return figures
    return msgspec.structs.replace(
        figures,
        running=accounts.running(label),
        requests=counts.requests,
        errors=counts.errors,
        left=counts.left,
        cut=counts.cut,
        prompt_tokens=counts.prompt_tokens,
        tokens=counts.tokens,
        first_mean=counts.first.mean,
        whole_mean=counts.whole.mean,
    )


def _part(process: Process, memory: Mapping[int, int]) -> Part:
    import psutil

    pids, rss = [], 0
    if process.pid is not None:
        try:
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                pids.append(one.pid)
                rss += one.memory_info().rss
        except psutil.Error:
            pass  # it ended meanwhile
    return Part(
        name=process.name,
        state=process.state,
        pid=process.pid,
        port=process.port,
        restarts=process.restarts,
        since=process.since,
        why=process.why,
        rss=rss,
        vram=sum(memory.get(pid, 0) for pid in pids),
        log=str(process.log),
    )


def _gpu_memory() -> dict[int, int]:
    """Bytes of GPU memory by process; empty without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    found: dict[int, int] = {}
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            for one in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                found[one.pid] = found.get(one.pid, 0) + int(one.usedGpuMemory or 0)
    except pynvml.NVMLError:
        return found
    finally:
        pynvml.nvmlShutdown()
    return found
