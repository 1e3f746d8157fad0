"""The bytes of a settings or agent file as text and back, and our part taken out of one that others changed since."""

from __future__ import annotations

from pathlib import Path

from lora_tui.adapters.wiring import edits, front_matter
from lora_tui.adapters.wiring.jsonc import parse
from lora_tui.adapters.wiring.record import Touched
from lora_tui.workspace.errors import BadInput, LoraTuiError

_BOM = b"\xef\xbb\xbf"
_SCHEMA_KEY = "$schema"


def read(path: Path) -> bytes | None:
    """A file's bytes, None where there is none. Raises LoraTuiError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LoraTuiError(f"cannot read: {error.strerror}", where=str(path)) from error


def text_of(data: bytes, path: Path) -> str:
    """The text of a file without the mark of its encoding. Raises BadInput where it is not UTF-8."""
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 text: byte {error.start}", where=str(path)) from error


def bytes_of(text: str, like: bytes | None) -> bytes:
    """A changed text as bytes, with the mark of the encoding where the file had one."""
    return (_BOM if like is not None and like.startswith(_BOM) else b"") + text.encode()


def withdrawn(touched: Touched, current: bytes | None) -> tuple[bytes | None, list[str]]:
    """A file without what was written into it, and the values of that which a person changed since, by name."""
    path = Path(touched.path)
    if current is None:
        return None, ["the whole file, which is gone"] if touched.before else []
    if touched.kind == "settings":
        text = text_of(current, path)
        parse(text, path)
        text, others = edits.undo(text, list(touched.edits))
        root = parse(text)
        if not touched.before and (root is None or (root.kind == "object" and root.plain.keys() <= {_SCHEMA_KEY})):
            return None, [".".join(one) for one in others]
        return bytes_of(text, current), [".".join(one) for one in others]
    if not touched.before:
        return current, ["the whole file"]
    text = text_of(current, path)
    for edit in touched.edits:
        if front_matter.model_of(text) != edit.after:
            return current, ["model"]
        text = front_matter.with_model(text, edit.before)
    return bytes_of(text, current), []
