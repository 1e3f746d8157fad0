"""By what an adapter's files are known: SHA256SUMS, as `sha256sum -c` reads it, and a hash of the config's meaning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.workspace.errors import BadInput

CHECKSUMS = "SHA256SUMS"
_LINE = re.compile(rb"(?P<sum>[0-9a-f]{64})  (?P<name>.+)", re.DOTALL)


def of(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """{file: SHA-256} of these files, else of every one. Raises BadInput for a name that SHA256SUMS cannot hold."""
    if names is None:
        names = [path.relative_to(folder).as_posix() for path in files(folder)]
    for name in names:
        if "\n" in name or "\\" in name:
            raise BadInput(f"{name!r} cannot be the name of a file here", where=str(folder), fix="Rename it.")
    return {name: sha256(folder / name) for name in names}


def write(folder: Path, sums: Mapping[str, str]) -> None:
    """Write SHA256SUMS."""
    (folder / CHECKSUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


def read(folder: Path) -> dict[str, str]:
    """{file: SHA-256} of SHA256SUMS. Raises BadInput where it is not there or says something else."""
    try:
        content = (folder / CHECKSUMS).read_bytes()
    except OSError as error:
        raise BadInput(f"it cannot be read: {error.strerror}", where=str(folder / CHECKSUMS)) from error
    *lines, rest = content.split(b"\n")
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadInput(f"{line[:40]!r} is no checksum", where=str(folder / CHECKSUMS))
        found[match["name"].decode(errors="replace")] = match["sum"].decode()
    if rest or len(found) < len(lines):
        raise BadInput("it is not as it was written", where=str(folder / CHECKSUMS))
    return found


def files(folder: Path) -> list[Path]:
    """Every file of a version but SHA256SUMS, sorted."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path for path in found if path != folder / CHECKSUMS)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def config_sha256(config: dict[str, Any]) -> str:
    """SHA-256 of an adapter_config.json by what it means: keys and lists of names in order.

    PEFT keeps target_modules in a set, whose order differs from process to process.
    """
    return hashlib.sha256(msgspec.json.encode(_canonical(config), order="deterministic")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value
