"""What determines an answer, as one digest: files by their size, time and both ends; and how a server was started."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_ENDS = 1 << 16  # bytes read at both ends of a file
_UNSURE = 0.5  # seconds by which a process's start may be told wrongly
_READ = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors", "*.bin", "*.gguf")
_SERVERS = ("python", "vllm", "llama", "ollama")  # in the command of a server that reads this machine's files
_VARIABLES = ("VLLM_", "LLAMA_ARG_")  # that are flags too
_WEIGHTS = (".gguf", ".safetensors", ".bin")  # which of them are used the server tells
_PORT = ("--port", "--host")  # flags that change no answer
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def of(*parts: str) -> str:
    """One digest of all; "" where one of them is empty, which is not known."""
    if not all(parts):
        return ""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def of_files(place: Path, before: float | None = None) -> str:
    """Of a file, or of what a model's folder holds. Another digest when a file changes, be it only in time.

    before: "" where something in it changed at or after this time (epoch seconds), or just before: a server that
    started then may hold what was there earlier. "" also where nothing can be read.
    """
    whole = hashlib.sha256()
    try:
        paths = sorted(_files(place)) if place.is_dir() else [place]
        for path in paths:
            stat = path.stat()
            if before is not None and max(stat.st_mtime, stat.st_ctime) >= before - _UNSURE:
                return ""
            whole.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\0".encode())
            with path.open("rb") as file:
                whole.update(file.read(_ENDS))
                file.seek(max(0, stat.st_size - _ENDS))
                whole.update(file.read(_ENDS))
    except OSError:
        return ""
    return whole.hexdigest() if paths else ""


def _files(folder: Path) -> Iterable[Path]:
    return {path for pattern in _READ for path in folder.glob(pattern)}


def start_of(pid: int, begun: float) -> str:
    """How a server was started: its command, files named there, and variables that are flags; "" where not known.

    Weights alone do not make an answer: quantization, a chat template, or settings of generation do as well.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        words, place, variables = process.cmdline(), process.cwd(), process.environ()
    except (psutil.Error, OSError):
        return ""
    named = [os.path.join(place, word.partition("=")[2] if word.startswith("-") else word) for word in words]
    named = [path for path in named if os.path.isfile(path) and not path.endswith(_WEIGHTS)]
    files = [of_files(Path(path), before=begun) for path in named]
    flags = [f"{name}={value}" for name, value in sorted(variables.items()) if name.startswith(_VARIABLES)]
    return of("start", *files, *(f" {word}" for word in (*_without_port(words), *flags)))


def _without_port(words: Iterable[str]) -> Iterator[str]:
    before = ""
    for word in words:
        if before not in _PORT and word.partition("=")[0] not in _PORT:
            yield word
        before = word


def holder(host: str, port: int) -> tuple[int, float]:
    """Process id and start (epoch seconds) of the model server that listens on a port of this machine; (0, 0.0) else.

    A tunnel or proxy that listens here is not it: its files are another machine's.
    """
    if host not in _LOOPBACK:
        return 0, 0.0
    import psutil

    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                process = psutil.Process(one.pid)
                command = " ".join(process.cmdline()[:3]).lower()
                if any(word in command for word in _SERVERS):
                    return one.pid, process.create_time()
    except (psutil.Error, OSError):
        pass
    return 0, 0.0
