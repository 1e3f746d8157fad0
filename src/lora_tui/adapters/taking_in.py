"""Adapters from elsewhere: any folder in PEFT's layout, or an archive of one, becomes a version of the registry."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from lora_tui.adapters import base_facts, checking, checksums, describing, unpacking
from lora_tui.adapters.card import CARD
from lora_tui.adapters.checksums import CHECKSUMS
from lora_tui.adapters.metadata import METADATA, Metadata
from lora_tui.adapters.peft_config import PICKLE, fix_of_missing
from lora_tui.adapters.publishing import add
from lora_tui.adapters.stored import Adapter, registered
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_ENDINGS = re.compile(r"(\.tar)?\.(zst|gz|zip|tar|tgz|adapter)$", re.IGNORECASE)
_DEEPEST = 4  # folders between what was named and the adapter
_UNPACKED = "unpacked"


class Taken(msgspec.Struct, frozen=True):
    """What was taken in, and what its user should know."""

    adapter: Adapter
    remarks: tuple[str, ...] = ()


def take_in(
    workspace: Workspace, path: Path, *, name: str = "", version: str = "", base: str = "", note: str = ""
) -> Taken:
    """Register a copy of the adapter in a folder or an archive; the original is not touched.

    name, version: empty for those that it brings along, else the file's name and the next version.
    base: what it was made for, where it does not say so itself, or says it wrongly.
    Raises BadInput for what is no adapter, is damaged, or does not name its base.
    """
    path = path.expanduser()
    base = _own(base)
    with _folder_of(workspace, path) as (folder, left):
        brought = _brought(folder)
        known = _known_base(folder, brought)
        if not (base or known):
            raise BadInput(
                "nothing here says which base this adapter was made for",
                where=str(path),
                fix="Name it: --base FOLDER or --base OWNER/NAME.",
            )
        _usable(folder, path, left)
        _as_registered(folder, path, brought)
        _fits(folder, path, base or known, brought.base_revision if brought and not base else "")
        named = name or (brought.name if brought else _plain_name(path, folder))
        metadata = _metadata(workspace, folder, brought, name=named, base=base or known, note=note)
        metadata = msgspec.structs.replace(metadata, version=version or _version(workspace, brought, named))
        added = add(workspace, metadata, lambda draft: _copy(folder, draft, base if base != known else ""))
        return Taken(added, tuple(_remarks(folder, base, known, left)))


def _own(base: str) -> str:
    """A base as it is found from anywhere. Raises BadInput for a folder that is not there."""
    folder = Path(base).expanduser()
    if base and folder.is_dir():
        return str(folder.absolute())
    if base.startswith(("/", "./", "../", "~")):
        raise BadInput("there is no such base", where=base, fix="Name a folder, or OWNER/NAME as on the Hub.")
    return base


def _usable(folder: Path, path: Path, left: Sequence[str]) -> None:
    if not (folder / describing.WEIGHTS).is_file():
        is_pickle = any(PurePosixPath(name).name == "adapter_model.bin" for name in left)
        raise BadInput(
            f"there is no {describing.WEIGHTS}", where=str(path), fix=PICKLE if is_pickle else fix_of_missing(folder)
        )
    _refuse("this adapter cannot be used", checking.weights(folder), path)


def _as_registered(folder: Path, path: Path, brought: Metadata | None) -> None:
    """A version of a registry says by SHA256SUMS what it was: a copy that is damaged does not become a new one."""
    if brought is not None and (folder / CHECKSUMS).is_file():
        known = checksums.read(folder)
        found = [
            item
            for item in checking.changed(folder)
            if item.file in known and PurePosixPath(item.file).suffix in unpacking.KEPT
        ]
        _refuse("this is not what was registered", found, path, fix="Copy or download it again.")


def _fits(folder: Path, path: Path, base: str, revision: str) -> None:
    from lora_tui.adapters.base_shapes import misfits
    from lora_tui.adapters.peft_folder import PeftFolder

    with PeftFolder(folder) as adapter:
        found = [checking.Finding(describing.WEIGHTS, said) for said in misfits(base, adapter, revision)]
    _refuse(f"it was not made for {base}", found, path, fix="Name its base: --base FOLDER or --base OWNER/NAME.")


def _refuse(what: str, wrong: Sequence[checking.Finding], path: Path, fix: str = "") -> None:
    if wrong:
        told = "; ".join(f"{item.file}: {item.what}" for item in wrong[:3])
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise BadInput(f"{what}: {told}{more}", where=str(path), fix=fix)


@contextmanager
def _folder_of(workspace: Workspace, path: Path) -> Iterator[tuple[Path, list[str]]]:
    """The adapter's folder, and what was left out of an archive."""
    if path.is_dir():
        yield _adapter_in(path, path), []
        return
    if not path.is_file():
        raise BadInput("there is no such file or folder", where=str(path))
    if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"):
        raise BadInput(
            "this is a pickle, which can run code and is never loaded",
            where=str(path),
            fix="Save the adapter as safetensors, and name the folder.",
        )
    if path.name == describing.WEIGHTS:
        yield _adapter_in(path.parent, path), []
        return
    atomic.sweep_drafts(workspace.adapters, _UNPACKED)
    with atomic.draft(workspace.adapters, _UNPACKED) as draft:
        left = unpacking.unpack(path, draft)
        yield _adapter_in(draft, path), left


def _adapter_in(folder: Path, named: Path) -> Path:
    """The one folder at or below `folder` that holds an adapter."""
    found = [folder] if (folder / describing.CONFIG).is_file() else []
    for depth in range(1, _DEEPEST + 1):
        found = found or sorted(path.parent for path in folder.glob("/".join(["*"] * depth + [describing.CONFIG])))
    if not found:
        raise BadInput(
            f"there is no adapter here: no {describing.CONFIG}", where=str(named), fix="Name what PEFT saved."
        )
    if len(found) > 1:
        inside = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        raise BadInput(f"there are {len(found)} adapters here: {inside}", where=str(named), fix="Name one of them.")
    return found[0]


def _brought(folder: Path) -> Metadata | None:
    """Its metadata, where it is a version of a registry like this one."""
    try:
        return toml.load(folder / METADATA, Metadata)
    except LoraTuiError:
        return None


def _known_base(folder: Path, brought: Metadata | None) -> str:
    if brought is not None and brought.base:
        return brought.base
    named = describing.config_of(folder).get("base_model_name_or_path")
    named = named or base_facts.front_matter(folder / CARD).get("base_model")
    return named if isinstance(named, str) else ""


def _metadata(
    workspace: Workspace, folder: Path, brought: Metadata | None, *, name: str, base: str, note: str
) -> Metadata:
    if brought is not None:
        if brought.run in {item.metadata.run for item in registered(workspace)}:
            brought = msgspec.structs.replace(brought, run="")  # a run makes one version
        moved = {"base_revision": "", "tokenizer_hash": "", "template_hash": ""} if base != brought.base else {}
        fields: dict[str, Any] = {"name": name, "base": base, "note": note or brought.note, "version": "", **moved}
        return msgspec.structs.replace(brought, **fields)
    return Metadata(name=name, base=base, note=note, licence=base_facts.licence(folder))


def _version(workspace: Workspace, brought: Metadata | None, name: str) -> str:
    """The version it brings along, where that is free here; else empty, for the next one."""
    if brought is None or brought.name != name:
        return ""
    taken = {item.metadata.version for item in registered(workspace) if item.metadata.name == name}
    return "" if brought.version in taken else brought.version


def _plain_name(path: Path, folder: Path) -> str:
    """A name out of the file's or folder's, without what a name cannot have."""
    if path.is_file() and path.name != describing.WEIGHTS:
        found = _ENDINGS.sub("", path.name)
    else:
        place = (path if path.is_dir() else folder).absolute()
        found = base_facts.identity(str(place))[0].rpartition("/")[2]  # of a snapshot in a cache: the repository's
    return re.sub(r"[^A-Za-z0-9._-]+", "-", found).strip("-._") or "adapter"


def _copy(folder: Path, draft: Path, base: str) -> None:
    """Copy the files that may belong to an adapter; with `base` the config names it."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in unpacking.KEPT and path.name not in (METADATA, CHECKSUMS):
            own = path.name == CARD and not (folder / METADATA).is_file()
            if path.name != CARD or own:
                shutil.copyfile(path, draft / (_THEIR_CARD if own else path.name))
    if base:
        config = {**describing.config_of(folder), "base_model_name_or_path": base}
        (draft / describing.CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2))


def _remarks(folder: Path, base: str, known: str, packed: Sequence[str]) -> Iterator[str]:
    from lora_tui.adapters.peft_folder import PeftFolder

    if base and known and base != known:
        yield f"its config named another base, {known}"
    if not base and known.startswith(("/", ".", "~")) and not Path(known).expanduser().is_dir():
        yield f"its base, {known}, is not on this machine"
    with PeftFolder(folder) as adapter:
        yield from (f"it is more than LoRA, {obstacle}" for obstacle in adapter.obstacles())
        for target in checking.targets_without_weights(adapter.config, adapter.modules):
            yield f"it has no weights for {target}, one of its target modules"
    left = [path.name for path in sorted(folder.iterdir()) if path.is_file() and path.suffix not in unpacking.KEPT]
    left += packed
    if left := [name for name in left if name != CHECKSUMS]:
        yield f"left out: {', '.join(left[:5])}{' …' if len(left) > 5 else ''}"


_THEIR_CARD = "README.original.md"
