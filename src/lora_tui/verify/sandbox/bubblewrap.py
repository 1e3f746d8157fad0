"""The bubblewrap sandbox: `bwrap` without network or host paths but programs, under `prlimit`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from lora_tui.verify.sandbox.limits import Step
from lora_tui.verify.sandbox.namespaces import privileged, resource_limits, unused_user
from lora_tui.verify.sandbox.paths import program_folders, system_paths
from lora_tui.verify.sandbox.watched import Ended

_APART = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_BECOMING_ANOTHER = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
_OWN = ("/work", "/tmp")
_LIMIT_OPTIONS = {
    "RLIMIT_CPU": "cpu",
    "RLIMIT_AS": "as",
    "RLIMIT_FSIZE": "fsize",
    "RLIMIT_NOFILE": "nofile",
    "RLIMIT_NPROC": "nproc",
    "RLIMIT_CORE": "core",
}


class Bubblewrap:
    """Runs a step under bwrap."""

    name = "bubblewrap"

    def refusal(self) -> str:
        """Why it cannot be tried; ''."""
        needed = ("bwrap", "prlimit", *(("setpriv",) if privileged() else ()))
        missing = [name for name in needed if not shutil.which(name)]
        return f"there is no {' and no '.join(missing)} on PATH" if missing else ""

    def command(self, step: Step, status: int) -> list[str]:
        """The command that runs `step`; bwrap writes the start and the end to the file `status`, as JSON."""
        shown, links = system_paths()
        for home in step.homes:
            shown += program_folders(home)
        command = [
            shutil.which("bwrap") or "bwrap",
            "--die-with-parent",
            "--new-session",
            "--json-status-fd",
            str(status),
        ]
        command += [*_APART] if privileged() else ["--unshare-user", *_APART]
        if privileged():
            command += [part for name in _BECOMING_ANOTHER for part in ("--cap-add", name)]
        command += ["--clearenv"]
        for name, value in step.environment.items():
            command += ["--setenv", name, value]
        for folder in _OWN:  # first: programs may be installed below them
            command += ["--perms", "1777", "--size", str(step.limits.folder), "--tmpfs", folder]
        # bwrap itself would make the folders above for its own user alone.
        above = {str(folder) for path in shown for folder in Path(path).parents} - {"/", *_OWN}
        for folder in sorted(above):
            command += ["--perms", "0755", "--dir", folder]
        for path in shown:
            command += ["--ro-bind", path, path]
        for path, target in links.items():
            command += ["--symlink", target, path]
        command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        command += ["--ro-bind", str(step.code), "/code"]
        command += ["--bind" if step.building else "--ro-bind", str(step.built), "/built"]
        command += ["--remount-ro", "/", "--chdir", "/work", "--"]
        if user := unused_user():
            command += [shutil.which("setpriv") or "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            command += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]
        command += [shutil.which("prlimit") or "prlimit"]
        command += [f"--{_LIMIT_OPTIONS[name]}={value}" for name, value in resource_limits(step).items()]
        return [*command, "--", *step.argv]

    def environment(self) -> dict[str, str]:
        """That of the command itself: code may read it in /proc, so no secret may be in it."""
        return {"PATH": os.environ.get("PATH", "")}

    def began(self, ended: Ended) -> str:
        """'' when the code itself was started, else what went wrong before."""
        for line in ended.status.splitlines():
            if "exit-code" in msgspec.json.decode(line, type=dict[str, object]):
                return ""
        if ended.stopped and ended.status:
            return ""
        return ended.stderr.strip() or f"bwrap ended with {ended.code}"

    def stop(self) -> None:
        """Nothing outlives the command."""
