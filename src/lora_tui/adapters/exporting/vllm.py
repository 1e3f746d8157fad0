"""How vLLM is started with a base and a set of adapters: a command, a script, a systemd unit.

Sources: vLLM 0.32's `vllm serve` and lora/peft_helper.py, read and run. It takes one LoRA a request; what it would
refuse while it starts, or answer with status 500 for, is refused here.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.exporting.base import Base, folder_of
from lora_tui.adapters.exporting.deltas import fitting
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.backends import bases
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank may be
ENVIRONMENT = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}  # so that versions can be loaded while it serves
_SCRIPT, _UNIT = "serve.sh", "lora-tui-vllm.service"


class Served(msgspec.Struct, frozen=True):
    """A plan for vLLM: the command and its environment, the ranks it follows from, and what a person should know."""

    command: tuple[str, ...]
    environment: dict[str, str]
    modules: dict[str, str]  # name: folder
    max_lora_rank: int
    max_loras: int
    checked: bool
    notes: tuple[str, ...]

    @property
    def shown(self) -> list[str]:
        """The command as lines for a shell, an option a line."""
        words = [f"{key}={value}" for key, value in self.environment.items()]
        words += [shlex.quote(word) for word in self.command[:3]]
        lines = [" ".join(words)]
        for word in map(shlex.quote, self.command[3:]):
            if word.startswith("--"):
                lines.append(f"    {word}")
            else:
                lines[-1] += f" {word}"
        return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def plan(
    workspace: Workspace,
    adapters: Sequence[str],
    base: str = "",
    *,
    program: str = "vllm",
    host: str = "127.0.0.1",
    port: int = 8000,
    max_model_len: int = 0,
) -> Served:
    """The command for adapters (names, versions, aliases or folders) on one base.

    Raises BadInput for what vLLM refuses.
    --max-lora-rank is the least allowed one that holds all; --max-loras one more than there are, because on a CPU the
    last slot's adapter leaks into requests of the base.
    """
    found = [registry.opened(workspace, adapter) for adapter in adapters]
    named = base or next((item.metadata.base for item in found if item.metadata.base), "")
    if not named:
        raise BadInput("which base? No adapter says", fix="Name it with --base.")
    resolved = bases.find(workspace, named)
    modules: dict[str, str] = {}
    ranks = [1]
    notes = []
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Base(folder_of(resolved)))
        except BadInput as error:
            if Path(resolved).is_dir():
                raise
            opened = None
            notes.append(f"not checked against the base: {error.what}")
        for adapter, item in zip(adapters, found, strict=True):
            name = _name(adapter)
            if name in modules:
                raise BadInput(f"two adapters would be called {name!r}", fix="Name versions: NAME@1.0.0 NAME@1.1.0.")
            laid = stack.enter_context(PeftFolder(item.folder, item.label))
            _refuse(laid)
            if opened is not None:
                fitting(opened, laid)
            ranks += [module.r for module in laid.modules.values()]
            modules[name] = str(item.folder)
    rank = _allowed(max(ranks))
    if rank > 4 * max(1, min(ranks[1:])):
        notes.append(f"every adapter takes the memory of rank {rank}: serve those of small rank apart")
    served = Path(resolved).name
    if served in modules:
        raise BadInput(f"an adapter and the base would both be called {served!r}", fix="Copy the adapter's folder.")
    command = [program, "serve", resolved, "--served-model-name", served, "--host", host, "--port", str(port)]
    command += ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", str(len(modules) + 1)]
    command += ["--max-cpu-loras", str(2 * (len(modules) + 1))]
    command += ["--max-model-len", str(max_model_len)] if max_model_len else []
    command += ["--lora-modules", *(f"{name}={folder}" for name, folder in modules.items())]
    if host not in ("127.0.0.1", "localhost", "::1"):
        notes.append("whoever reaches it can load any adapter and use it: add --api-key, or listen on 127.0.0.1")
    notes.append("not checked: loading it needs vLLM, a GPU or some minutes; `lora-tui serve` starts and asks it")
    if shutil.which(program) is None:
        notes.append(f"{program} is not on the PATH here: the unit needs its whole path (--vllm)")
    return Served(
        command=tuple(command),
        environment=dict(ENVIRONMENT),
        modules=modules,
        max_lora_rank=rank,
        max_loras=len(modules) + 1,
        checked=False,
        notes=tuple(notes),
    )


def write(made: Served, folder: Path) -> tuple[Path, Path]:
    """Write serve.sh and a systemd user unit into `folder`. Raises LoraTuiError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoraTuiError(f"cannot write: {error.strerror}", where=str(folder)) from error
    script, unit = folder.absolute() / _SCRIPT, folder.absolute() / _UNIT
    lines = [f"export {key}={shlex.quote(value)}" for key, value in made.environment.items()]
    atomic.write_text(script, "\n".join(["#!/bin/sh", *lines, f"exec {shlex.join(made.command)}"]) + "\n")
    script.chmod(0o755)
    atomic.write_text(unit, _unit(made))
    return script, unit


def _unit(made: Served) -> str:
    """For `systemctl --user`: restarted when it ends, with time to load; see systemd.service(5)."""
    environment = "".join(f"Environment={_systemd(f'{key}={value}')}\n" for key, value in made.environment.items())
    words = [shutil.which(made.command[0]) or made.command[0], *made.command[1:]]
    return (
        "[Unit]\nDescription=vLLM with LoRA adapters\nAfter=network.target\n\n"
        f"[Service]\n{environment}ExecStart={' '.join(map(_systemd, words))}\n"
        "Restart=on-failure\nRestartSec=5\nTimeoutStartSec=900\nKillSignal=SIGTERM\nTimeoutStopSec=60\n\n"
        "[Install]\nWantedBy=default.target\n"
    )


def _systemd(word: str) -> str:
    """A word of a unit's command line: % and $ are special there, and quotes are C's."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{safe}"' if any(mark in word for mark in " \t\"'\\;") or not word else safe


def _name(adapter: str) -> str:
    """How clients call it: as it was typed, a folder by its last part."""
    return Path(adapter).name if "/" in adapter else adapter


def _refuse(adapter: PeftFolder) -> None:
    """Raises BadInput, by the key, for what vLLM cannot serve."""
    allowed = {"classifier", "score"}
    saved = adapter.config.get("modules_to_save") or []
    obstacles = [
        one for one in adapter.obstacles() if not (one.startswith("modules_to_save") and set(saved) <= allowed)
    ]
    if obstacles:
        raise BadInput(
            f"vLLM refuses this adapter: {'; '.join(obstacles)}",
            where=adapter.name,
            fix="Serve it with transformers: lora-tui serve --engine transformers.",
        )
    largest = max((module.r for module in adapter.modules.values()), default=0)
    if largest > RANKS[-1]:
        raise BadInput(f"vLLM refuses rank {largest}: the most is {RANKS[-1]}", where=adapter.name)


def _allowed(rank: int) -> int:
    return next(allowed for allowed in RANKS if allowed >= rank)
