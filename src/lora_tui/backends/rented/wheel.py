"""lora-tui itself as a wheel, made of the files that are running: no network, no build tool.

The format: packaging.python.org/specifications/binary-distribution-format, and RECORD of the one on installed projects.
The same files give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import lora_tui
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.resources import shipped

_PACKAGE = Path(lora_tui.__file__).parent
_SHIPPED = ("themes", "profiles")
_LEFT_OUT = {"__pycache__", "data"}
_TAGS = "py3-none-any"


def name() -> str:
    """The wheel's file name."""
    return f"lora_tui-{lora_tui.__version__}-{_TAGS}.whl"


def requirements() -> list[str]:
    """What it needs and its extras need, as its metadata says. Raises LoraTuiError where it has none."""
    return sorted(_distribution().requires or [])


def build() -> bytes:
    """The wheel. Raises LoraTuiError where lora-tui runs from files that were never installed."""
    about = f"lora_tui-{lora_tui.__version__}.dist-info"
    content = {path: file.read_bytes() for path, file in _files()}
    content[f"{about}/METADATA"] = (_distribution().read_text("METADATA") or "").encode()
    content[f"{about}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: lora-tui\nRoot-Is-Purelib: true\nTag: {_TAGS}\n"
    ).encode()
    content[f"{about}/entry_points.txt"] = (_distribution().read_text("entry_points.txt") or "").encode()
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in content.items())
    content[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path)  # of 1980: the time is not part of what it is
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _files() -> Iterator[tuple[str, Path]]:
    for file in sorted(_PACKAGE.rglob("*")):
        parts = file.relative_to(_PACKAGE).parts
        if file.is_file() and "__pycache__" not in parts and parts[0] != "data":
            yield f"lora_tui/{'/'.join(parts)}", file
    for kind in _SHIPPED:
        folder = shipped(kind)
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"lora_tui/data/{kind}/{file.relative_to(folder).as_posix()}", file


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution("lora-tui")
    except metadata.PackageNotFoundError as error:
        raise LoraTuiError(
            "lora-tui cannot be sent to another machine: it runs from files that were never installed",
            where=str(_PACKAGE),
            fix="Install it: pip install lora-tui, or pip install -e FOLDER.",
        ) from error
