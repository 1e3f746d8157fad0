"""What is done on the other machine, by its own Python. Standard library alone: this file's text is sent there.

A job there is a folder. Each time its process is started is an attempt with a folder of its own in `.attempts`, whose
name is taken by making it, so that asking twice starts once. In it: `pid` (the process, which leads a group of its
own, and when the kernel says that it began: numbers are used again) and, by rename, `rc`, its exit code.
"""

# ruff: noqa: UP031 - any Python 3 is to say what it lacks

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from typing import Any

ATTEMPTS = ".attempts"
MARK = "lora-tui answers: "  # before an answer: the shell that starts this may print too
_STARTING_SECONDS = 30.0  # within which a started process has written its number
_CHUNK = 1 << 20
_WRAPPER = """
{ echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > "$0/pid.half" && mv "$0/pid.half" "$0/pid"; } || exit
"$@"
echo $? > "$0/rc.half" && mv "$0/rc.half" "$0/rc"
"""


def facts(folder: str) -> dict[str, Any]:
    """The machine, as JSON: its Python, GPUs, cores, bytes of RAM, bytes free where `folder` is or will be."""
    root = os.path.abspath(os.path.expanduser(folder))
    place = root
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    memory = {}
    if os.path.exists("/proc/meminfo"):
        with open("/proc/meminfo") as file:
            for line in file:
                key, _, rest = line.partition(":")
                memory[key] = int(rest.split()[0]) * 1024
    return {
        "root": root,
        "system": platform.system(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "cores": os.cpu_count() or 1,
        "ram_total": memory.get("MemTotal", 0),
        "ram_available": memory.get("MemAvailable", 0),
        "disk_free": shutil.disk_usage(place).free,
        "gpus": _gpus(),
        "address": _address(),
        "now": time.time(),
    }


def _address() -> str:
    """The address of the machine's way out; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that is nobody's
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _gpus() -> list[dict[str, Any]]:
    query = "--query-gpu=name,memory.total,memory.used"
    try:
        said = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"], stdout=subprocess.PIPE, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rsplit(",", 2) for line in said.stdout.decode(errors="replace").splitlines() if line.count(",") > 1]
    return [
        {"name": name.strip(), "memory_total": _mebibytes(total), "memory_used": _mebibytes(used)}
        for name, total, used in rows
    ]


def _mebibytes(text: str) -> int:
    """In bytes; 0 for what is no number: a GPU that shares the machine's memory says [N/A]."""
    return int(text) << 20 if text.strip().isdigit() else 0


def differing(root: str, files: list[tuple[str, int, str]]) -> list[str]:
    """Which of `files` ([path in root, size, sha256], …) are not there as they should be. Makes their folders."""
    wanted = []
    for path, size, digest in files:
        whole = os.path.join(root, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        if os.path.isfile(whole) and os.path.getsize(whole) == size and _sha256(whole) == digest:
            continue
        wanted.append(path)
    return wanted


def accept(root: str, files: list[tuple[str, str, str]]) -> list[str]:
    """Let parts that have arrived ([path, its part, sha256], …) appear under their names, once all are right.

    Which are not: they are thrown away, and then none appears.
    """
    wrong = []
    for path, part, digest in files:
        half, whole = os.path.join(root, part), os.path.join(root, path)
        if os.path.isfile(half):
            if _sha256(half) != digest:
                os.unlink(half)
                wrong.append(path)
        elif not os.path.isfile(whole) or _sha256(whole) != digest:  # else it was accepted, and the answer was lost
            wrong.append(path)
    for path, part, _ in files if not wrong else []:
        half = os.path.join(root, part)
        if os.path.isfile(half):
            os.replace(half, os.path.join(root, path))
    return wrong


def hashes(folder: str, only: list[str] | None = None) -> dict[str, tuple[int, str]] | None:
    """Every file of a folder by its path in it: [size, sha256]. None where there is no such folder.

    `only`: the names at its top that count.
    """
    if not os.path.isdir(folder):
        return None
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            inside = os.path.relpath(path, folder)
            if only is not None and inside.split(os.sep)[0] not in only:
                continue
            try:
                found[inside] = (os.path.getsize(path), _sha256(path))
            except FileNotFoundError:  # pruned meanwhile
                continue
    return found


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_CHUNK), b""):
            digest.update(block)
    return digest.hexdigest()


def unpack(wheel: str, folder: str) -> None:
    """A wheel's files as a folder, which is there whole or not at all."""
    if os.path.isdir(folder):
        return
    draft = "%s.%d.half" % (folder, os.getpid())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(draft)
    try:
        os.rename(draft, folder)
    except OSError:  # another was quicker
        shutil.rmtree(draft)


def launch(folder: str, attempt: int, command: list[str], out: str, err: str, environment: dict[str, str]) -> bool:
    """Start `command` in `folder` as this attempt, detached; nothing where it was started already."""
    place = os.path.join(folder, ATTEMPTS, str(attempt))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    try:
        os.mkdir(place)
    except FileExistsError:
        return False
    with open(os.path.join(folder, out), "ab") as output, open(os.path.join(folder, err), "ab") as errors:
        subprocess.Popen(
            ["sh", "-c", _WRAPPER, place, os.path.expanduser(command[0]), *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            env=dict(os.environ, **environment),
        )
    return True


def status(folder: str) -> dict[str, Any]:
    """The newest attempt: {"attempt": 0 for none, "state": none, running, ended or lost, "code": its exit code}.

    Lost: it lives no more and has left no exit code. A process that only waits to be reaped (Z) does not live.
    """
    attempts = os.path.join(folder, ATTEMPTS)
    numbers = [int(name) for name in os.listdir(attempts) if name.isdigit()] if os.path.isdir(attempts) else []
    if not numbers:
        return {"attempt": 0, "state": "none", "code": 0}
    newest = max(numbers)
    place = os.path.join(attempts, str(newest))
    alive = _leader(place) is not None or _is_young(place)
    try:
        with open(os.path.join(place, "rc")) as file:
            return {"attempt": newest, "state": "ended", "code": int(file.read())}
    except FileNotFoundError:
        return {"attempt": newest, "state": "running" if alive else "lost", "code": 0}


def kill(folder: str) -> int:
    """End the newest attempt's whole group now. How many processes of it are left after a while."""
    found = status(folder)
    if found["state"] != "running":
        return 0
    place = os.path.join(folder, ATTEMPTS, str(found["attempt"]))
    leader = None
    end = time.time() + _STARTING_SECONDS
    while leader is None and time.time() < end:
        leader = _leader(place)
        if leader is None:
            time.sleep(0.05)
    if leader is None:
        return 0
    end = time.time() + 10
    while _group(leader) and time.time() < end:
        try:
            os.killpg(leader, signal.SIGKILL)
        except OSError:
            break
        time.sleep(0.05)
    return len(_group(leader))


def remove(folder: str) -> None:
    """Remove a folder that is of no more use."""
    shutil.rmtree(folder, ignore_errors=True)


def _leader(place: str) -> int | None:
    """The number of the attempt's process while it lives."""
    try:
        with open(os.path.join(place, "pid")) as file:
            number, began = file.read().split()
    except (OSError, ValueError):
        return None
    fields = _stat(number)
    return int(number) if fields and fields[0] != "Z" and fields[19] == began else None


def _stat(number: str) -> list[str] | None:
    """/proc/N/stat behind the name: state, parent, group, session, … began (the 20th)."""
    try:
        with open("/proc/%s/stat" % number) as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _group(leader: int) -> list[str]:
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        fields = _stat(number)
        if fields and fields[0] != "Z" and int(fields[2]) == leader:
            found.append(number)
    return found


def _is_young(place: str) -> bool:
    return not os.path.exists(os.path.join(place, "pid")) and time.time() - os.path.getmtime(place) < _STARTING_SECONDS


def main(asked: str) -> None:
    """Answer one request, {"do": name, …arguments}, with one line of JSON."""
    request = json.loads(asked)
    work: dict[str, Callable[..., Any]] = {
        item.__name__: item for item in (facts, differing, accept, hashes, unpack, launch, status, kill, remove)
    }
    try:
        answer = {"answer": work[request.pop("do")](**request)}
    except OSError as error:
        answer = {"error": "%s: %s" % (error.strerror, error.filename) if error.filename else str(error)}
    print("\n" + MARK + json.dumps(answer))
