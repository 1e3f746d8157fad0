"""The sandbox of Linux' own namespaces, through util-linux' `unshare`: bubblewrap's work where that is not installed.

No network, no host paths but programs (read-only), own processes, no privileges. Root runs the code as a user that
nobody else is, so that the limit on processes holds it; anyone else needs user namespaces, which some systems forbid.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path

import msgspec

from lora_tui.verify.sandbox.limits import Step
from lora_tui.verify.sandbox.paths import program_folders, system_paths
from lora_tui.verify.sandbox.watched import Ended

_INSIDE = Path(__file__).with_name("inside.py")
_SYS_ADMIN = 21
_FIRST_USER = 1 << 30  # far from any that a system gives to a person or a service


class Spec(msgspec.Struct, frozen=True):
    """What `inside.py` is told."""

    root: str  # an empty folder to build in
    shown: list[str]
    links: dict[str, str]
    code: str
    built: str
    building: bool
    folder: int
    user: int  # 0: stay what you are
    limits: dict[str, int]
    argv: tuple[str, ...]
    environment: dict[str, str]


class Namespaces:
    """Runs a step in namespaces of its own."""

    name = "namespaces"

    def refusal(self) -> str:
        """Why it cannot be tried; ''."""
        return "" if shutil.which("unshare") else "there is no unshare on PATH"

    def command(self, step: Step, status: int) -> list[str]:
        """The command that runs `step` and writes to the file `status`."""
        shown, links = system_paths()
        for home in step.homes:
            shown += program_folders(home)
        root = step.code.with_name("root")
        root.mkdir(exist_ok=True)
        spec = Spec(
            root=str(root),
            shown=shown,
            links=links,
            code=str(step.code),
            built=str(step.built),
            building=step.building,
            folder=step.limits.folder,
            user=unused_user(),
            limits=resource_limits(step),
            argv=step.argv,
            environment=step.environment,
        )
        apart = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--net", "--ipc", "--uts", "--cgroup"]
        if not privileged():
            apart += ["--user", "--map-root-user"]
        inside = [sys.executable, "-I", "-S", str(_INSIDE), str(status), msgspec.json.encode(spec).decode()]
        return [shutil.which("unshare") or "unshare", *apart, "--", *inside]

    def environment(self) -> dict[str, str]:
        """That of the command itself: code may read it in /proc, so no secret may be in it."""
        return {"PATH": os.environ.get("PATH", "")}

    def began(self, ended: Ended) -> str:
        """'' when the code itself was started, else what went wrong before."""
        if ended.status == b"began":
            return ""
        said = ended.status.removeprefix(b"began").decode(errors="replace").strip()
        return said or ended.stderr.strip() or f"unshare ended with {ended.code}"

    def stop(self) -> None:
        """Nothing outlives the command."""


def privileged() -> bool:
    """Whether this process may make namespaces without a user namespace, and become another user."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return False
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return os.geteuid() == 0 and bool(held >> _SYS_ADMIN & 1)


def unused_user() -> int:
    """A user number for one run when this is root: each user has processes counted apart. Else 0, as one is."""
    return _FIRST_USER + secrets.randbelow(1 << 28) if privileged() else 0


def resource_limits(step: Step) -> dict[str, int]:
    """setrlimit's names with their values, for each process."""
    return {
        "RLIMIT_CPU": int(step.seconds) + 1,
        "RLIMIT_AS": step.limits.memory,
        "RLIMIT_FSIZE": step.largest_file,
        "RLIMIT_NOFILE": step.limits.open_files,
        "RLIMIT_NPROC": step.limits.processes,
        "RLIMIT_CORE": 0,
    }
