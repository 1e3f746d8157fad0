"""Which sandbox this machine has: it must have run a command and kept it from the host and the network."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import msgspec

from lora_tui.verify.sandbox.bubblewrap import Bubblewrap
from lora_tui.verify.sandbox.containers import Container
from lora_tui.verify.sandbox.limits import Limits, Step
from lora_tui.verify.sandbox.namespaces import Namespaces
from lora_tui.verify.sandbox.watched import Ended, watched

# A folder of the host is not there, programs cannot be changed, there is no network device but the loopback, and the
# limit on processes holds: Linux lets root off it, also one without privileges in a namespace of its own.
_PROBE = """
test ! -e "$0" && test ! -w /usr && test "$(grep -c : /proc/net/dev)" -le 1 || exit
many() { for each in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 9 & done; }
(many) && echo "there is no limit on processes" >&2 || echo kept
"""
_PROCESSES = 12  # that the probe may have


class Sandbox(Protocol):
    """A way to run a command apart from the machine."""

    name: str

    def refusal(self) -> str:
        """Why it cannot be tried; ''."""

    def command(self, step: Step, status: int) -> list[str]:
        """The command that runs `step`; `status` is the number of a file it may write to."""

    def environment(self) -> dict[str, str]:
        """The environment that the command itself is started with."""

    def began(self, ended: Ended) -> str:
        """'' when the code itself was started, else what went wrong before."""

    def stop(self) -> None:
        """End what could outlive the command."""


class Choice(msgspec.Struct, frozen=True):
    """The sandbox chosen, or why there is none."""

    name: str  # docker, podman, bubblewrap, namespaces; '' for none
    image: str
    reasons: tuple[str, ...]  # why each one before it, or each at all, was not taken

    @property
    def why_not(self) -> str:
        """Why nothing can be executed here."""
        return "nothing is executed without a sandbox: " + "; ".join(self.reasons)

    def make(self) -> Sandbox:
        """A sandbox of this kind, for one step."""
        return _made(self.name, self.image)


def choose(image: str) -> Choice:
    """The first that works of docker, podman (both only with `image`), bubblewrap and namespaces."""
    return _chosen(image, os.environ.get("PATH", ""))


@lru_cache(maxsize=32)
def _chosen(image: str, path: str) -> Choice:
    reasons: list[str] = []
    for name in ("docker", "podman", "bubblewrap", "namespaces"):
        sandbox = _made(name, image)
        refusal = sandbox.refusal() or (_tried(sandbox) if not isinstance(sandbox, Container) else "")
        if not refusal:
            return Choice(name, image, tuple(reasons))
        reasons.append(refusal)
    return Choice("", image, tuple(reasons))


def _made(name: str, image: str) -> Sandbox:
    if name in ("docker", "podman"):
        return Container(name, image)
    return Bubblewrap() if name == "bubblewrap" else Namespaces()


def _tried(sandbox: Sandbox) -> str:
    """'' when it runs a command apart from the host, else what it did instead."""
    if sys.platform != "linux":
        return f"{sandbox.name} needs Linux"
    with tempfile.TemporaryDirectory(prefix="lora-tui-sandbox-") as name:
        code, built = folders(Path(name))
        step = Step(("/bin/sh", "-c", _PROBE, name), code, built, False, (), Limits(processes=_PROCESSES))
        try:
            ended = watched(
                lambda status: sandbox.command(step, status), sandbox.environment(), step.limits, step.seconds
            )
        except OSError as error:
            return f"{sandbox.name} does not start: {error}"
    if problem := sandbox.began(ended):
        return f"{sandbox.name} does not work here: {problem}"
    return "" if ended.stdout == "kept\n" else f"{sandbox.name} does not keep code apart here: {ended.stderr.strip()}"


def folders(place: Path) -> tuple[Path, Path]:
    """Empty /code and /built below a private folder; whoever runs in the sandbox may enter both and write to /built."""
    code, built = place / "code", place / "built"
    code.mkdir()
    code.chmod(0o755)
    built.mkdir()
    built.chmod(0o777)
    return code, built
