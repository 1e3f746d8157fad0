"""The engine on the other machine: in an interpreter that has it, else in an environment made once for all jobs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from posixpath import dirname
from typing import Any

import asyncssh
import msgspec

from lora_tui.backends.rented import wheel
from lora_tui.backends.rented.asking import Facts, Status, ask, in_shell, said
from lora_tui.backends.rented.connection import Connection
from lora_tui.backends.rented.patience import Patience
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden

OLDEST = (3, 11)
_PYTHONS = ("python3", "python3.13", "python3.12", "python3.11")
_NEEDED_BYTES = 8 << 30  # of an environment with torch for CUDA
_LOOK_SECONDS = 1.0
_LOG = "install.log"
_TAIL, _LAST_LINES = 4096, 6
_ENGINE = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "safetensors")
_PINNED = (
    "accelerate",
    "datasets",
    "peft",
    "transformers",
    "trl",
)  # to what is here: one engine everywhere
_VERSION = "import platform; said = platform.python_version()"
_SEES_GPU = (
    "import torch; made_for = torch.version.cuda and 'CUDA ' + torch.version.cuda or 'no GPU'; "
    "said = '' if torch.cuda.is_available() else "
    "f'torch {torch.__version__} is for {made_for}, which the driver there does not have'"
)
_HAS_ENGINE = (
    f"from importlib.util import find_spec; said = ' '.join(name for name in {_ENGINE!r} if find_spec(name) is None)"
)
_HAS_BASE = "import lora_tui.jobs.journal, lora_tui.dataset.versions; "
_INSTALL = (
    "rm -rf env && {python} -m venv --system-site-packages env && env/bin/python -m pip install {options} {wheel}"
)


class Ready(msgspec.Struct, frozen=True):
    """How a worker is started there."""

    python: str
    environment: dict[str, str]


async def facts_of(connection: Connection, python: str, folder: str) -> tuple[Facts, str]:
    """The machine, and its interpreter: `python`, as a person named it; where that is empty, a new enough one it has.

    Raises LoraTuiError where it has none.
    """
    tried = []
    for name in (python,) if python else _PYTHONS:
        version, why = await said(connection, name, _VERSION)
        if not version:
            tried.append(f"{name}: {why}" if python else "")
        elif tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            tried.append(f"{name} is {version}")
        else:
            found: Facts = await ask(connection, name, Facts, "facts", folder=folder)
            if found.system != "Linux":
                what = f"jobs can be sent to Linux alone, and this is {found.system}"
                raise LoraTuiError(what, where=connection.target.name)
            return found, name
    seen = ", ".join(filter(None, tried)) or f"no {_PYTHONS[0]}"
    raise LoraTuiError(
        f"lora-tui needs Python {OLDEST[0]}.{OLDEST[1]} or newer on this machine, which has: {seen}",
        where=connection.target.name,
        fix="Install one there; where ssh does not find it by itself, name it as `python` of that host.",
    )


async def lacking(connection: Connection, python: str, unpacked: str = "") -> str:
    """What that interpreter lacks to train, in words; empty: nothing. `unpacked`: where lora-tui's own files are."""
    code = (_HAS_BASE if unpacked else "") + _HAS_ENGINE
    names, why = await said(connection, python, code, unpacked)
    return why or (f"it has no {', '.join(names.split())}" if names else "")


async def blind(connection: Connection, ready: Ready) -> str:
    """Why torch there cannot use the machine's GPUs, in words; empty: it can."""
    why_not, why = await said(connection, ready.python, _SEES_GPU, ready.environment["PYTHONPATH"])
    return why_not or why


@dataclass(frozen=True)
class Bootstrap:
    """What makes the worker ready to be started on a machine.

    interpreter: does the small work. own: the host's, which has the engine; empty where none is said to.
    wheel_path: of the uploaded wheel, in the machine's folder. told: bytes of the log of an installation.
    asked_to_stop: called in between; what it raises ends the installation.
    """

    patience: Patience
    facts: Facts
    interpreter: str
    own: str
    wheel_path: str
    extras: str
    told: Callable[[int], None]
    asked_to_stop: Callable[[], None]

    async def ready(self, *, has_gpus: bool) -> Ready:
        """Make it ready. Raises LoraTuiError with pip's last lines.

        Also where torch there cannot use the machine's GPUs: it would train on the processor, and cost as much.
        """
        made = await self._engine()
        if has_gpus and (why := await self.patience.do(lambda: blind(self.patience.connection, made))):
            name = self.facts.gpus[0].name if self.facts.gpus else "GPUs"
            raise LoraTuiError(
                f"torch there cannot use its {name}: {why}",
                where=f"{self._name}, {made.python}",
                fix="Use a machine with a newer driver, or one whose own `python` has a torch that fits it.",
            )
        return made

    @property
    def _name(self) -> str:
        return self.patience.connection.target.name

    async def _ask(self, kind: Any, do: str, **more: Any) -> Any:
        return await self.patience.do(lambda: ask(self.patience.connection, self.interpreter, kind, do, **more))

    async def _lacking(self, python: str, unpacked: str) -> str:
        return await self.patience.do(lambda: lacking(self.patience.connection, python, unpacked))

    async def _engine(self) -> Ready:
        unpacked = f"{self.facts.root}/{dirname(self.wheel_path)}/unpacked"
        wheel_file = f"{self.facts.root}/{self.wheel_path}"
        await self._ask(None, "unpack", wheel=wheel_file, folder=unpacked)
        environment = {"PYTHONPATH": unpacked}
        if self.own:
            if missing := await self._lacking(self.own, unpacked):
                raise LoraTuiError(
                    f"{self.own} cannot run the engine: {missing}",
                    where=self._name,
                    fix="Install `lora-tui[train]` there, or leave `python` of that host empty: one is made then.",
                )
            return Ready(python=self.own, environment=environment)
        if not await self._lacking(self.interpreter, unpacked):
            return Ready(python=self.interpreter, environment=environment)
        pins = _pins()
        wanted = "\n".join([*wheel.requirements(), self.extras, self.facts.python, *pins])
        folder = f"{self.facts.root}/venvs/{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
        found: Status = await self._ask(Status, "status", folder=folder)
        if found.state != "ended" or found.code != 0:
            if found.state != "running":
                await self._install(folder, found.attempt + 1, [f"{wheel_file}[{self.extras}]", *pins])
            await self._installed(folder)
        return Ready(python=f"{folder}/env/bin/python", environment=environment)

    async def _install(self, folder: str, attempt: int, packages: list[str]) -> None:
        if self.facts.disk_free < _NEEDED_BYTES:
            raise LoraTuiError(
                f"no room for the engine: {self.facts.disk_free / 2**30:.1f} GiB free, {_NEEDED_BYTES >> 30} needed",
                where=f"{self._name}, {self.facts.root}",
                fix="Free some space, or choose another `folder` for that host.",
            )
        script = _INSTALL.format(
            python=in_shell(self.interpreter),
            options="--progress-bar off --disable-pip-version-check",
            wheel=shlex.join(packages),
        )
        command = ["sh", "-c", script]
        await self._ask(
            bool, "launch", folder=folder, attempt=attempt, command=command, out=_LOG, err=_LOG, environment={}
        )

    async def _installed(self, folder: str) -> None:
        while True:
            try:
                self.asked_to_stop()
            except BaseException:
                await self._ask(int, "kill", folder=folder)
                raise
            status: Status = await self._ask(Status, "status", folder=folder)
            size, tail = await self.patience.do(lambda: _tail(self.patience.connection, f"{folder}/{_LOG}"))
            self.told(size)
            if status.state == "ended" and status.code == 0:
                return
            if status.state != "running":
                lines = [line.strip() for line in tail.decode(errors="replace").splitlines() if line.strip()]
                said = hidden(" / ".join(lines[-_LAST_LINES:])) or "it said nothing"
                raise LoraTuiError(
                    f"the engine could not be installed there: {said}",
                    where=f"{self._name}, {folder}/{_LOG}",
                    fix="Correct that, then go on: lora-tui runs resume. Or name an interpreter that has it: `python`.",
                )
            await asyncio.sleep(_LOOK_SECONDS)


def _pins() -> list[str]:
    found = []
    for name in _PINNED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name}=={metadata.version(name)}")
    return found


async def _tail(connection: Connection, path: str) -> tuple[int, bytes]:
    sftp = await connection.sftp()
    with connection.dropping():
        try:
            size = (await sftp.stat(path)).size or 0
            async with sftp.open(path, "rb") as file:
                return size, await file.read(_TAIL, max(0, size - _TAIL))
        except asyncssh.SFTPNoSuchFile:
            return 0, b""
