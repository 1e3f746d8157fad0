"""GGUF files of bases and adapters for llama.cpp, made when they are first needed and kept in the workspace's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from lora_tui.adapters.exporting import base as bases
from lora_tui.adapters.exporting import gguf_files
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.peft_folder import CONFIG, WEIGHTS, PeftFolder
from lora_tui.workspace.errors import BadInput

_READ = ("*.safetensors", "*.json", "*.jinja")  # what a base's conversion reads


def base_file(base: str, cache: Path) -> Path:
    """The base as GGUF: itself where it is one, else converted at the width it is stored in. Raises BadInput."""
    if base.endswith(".gguf"):
        path = Path(base).expanduser()
        if not path.is_file():
            raise BadInput("there is no such file", where=base)
        return path
    folder = bases.folder_of(base)

    def make(path: Path) -> None:
        with Base(folder) as found:
            gguf_files.write_model(path, found, None, _width(found))

    return _kept(cache, folder.name, (path for pattern in _READ for path in folder.glob(pattern)), make)


def adapter_file(adapter: Path, base: str, cache: Path) -> Path:
    """An adapter as GGUF, to be laid over the base's. Raises BadInput for what llama.cpp cannot be given."""
    if base.endswith(".gguf"):
        with PeftFolder(adapter) as opened:
            if not opened.base:
                raise BadInput(
                    "the adapter's base is not known, and its GGUF does not tell how to convert the adapter",
                    where=str(adapter),
                    fix="Serve the base's own folder instead of a GGUF file.",
                )
            base = opened.base
    folder = bases.folder_of(base)

    def make(path: Path) -> None:
        with Base(folder) as found, PeftFolder(adapter) as opened:
            gguf_files.write_adapter(path, found, opened)

    return _kept(
        cache,
        f"{adapter.parent.name}-{adapter.name}",
        [adapter / CONFIG, adapter / WEIGHTS, folder / bases.CONFIG],
        make,
    )


def context_length(base: str) -> int:
    """Tokens the base was made for; 0 where its config does not say, or it is a GGUF file."""
    if base.endswith(".gguf"):
        return 0
    found = bases.read_json(bases.folder_of(base) / bases.CONFIG).get("max_position_embeddings")
    return found if isinstance(found, int) else 0


def _width(base: Base) -> str:
    types = {info.dtype for info in base.tensors.values() if len(info.shape) == 2}
    return "bf16" if types == {"BF16"} else "f16"


def _kept(cache: Path, name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The file made of `sources` as they are now; made anew when one of them changed."""
    known = [(str(path.resolve()), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in sorted(set(sources))]
    digest = hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:16]
    path = cache / "gguf" / f"{name}-{digest}.gguf"
    if not path.is_file():
        make(path)
    return path
