"""Whether a version is what was registered: its files, its metadata, its weights, and whether it fits its parents."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.adapters import checksums, describing, peft_config
from lora_tui.adapters.base_facts import identity
from lora_tui.adapters.metadata import METADATA, Metadata
from lora_tui.adapters.stored import Adapter, registered
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, and in which file of the version."""

    file: str
    what: str


def check(workspace: Workspace, folder: Path) -> list[Finding]:
    """Everything that is wrong with a version; empty: it is what was registered. Reads all of it."""
    findings = [*changed(folder)]
    try:
        metadata = toml.load(folder / METADATA, Metadata)
    except LoraTuiError as error:
        return [*findings, *([] if _is_told(findings, METADATA) else [Finding(METADATA, error.what)])]
    findings += _metadata(metadata, folder)
    findings += weights(folder)
    findings += _base(metadata, folder)
    findings += _parents(workspace, Adapter(folder, metadata))
    return findings


def weights(folder: Path) -> list[Finding]:
    """What is wrong with the weights of an adapter folder: not whole, not finite, not what its config says."""
    from lora_tui.adapters.peft_folder import PeftFolder

    try:
        with PeftFolder(folder) as adapter:
            return [*_finite(folder), *_shapes(adapter.config, {name: it.r for name, it in adapter.modules.items()})]
    except BadInput as error:
        return [Finding(Path(error.where).name if error.where else describing.WEIGHTS, error.what)]


def changed(folder: Path) -> Iterator[Finding]:
    """What differs from SHA256SUMS: files that changed, are gone, or were added."""
    try:
        known = checksums.read(folder)
    except BadInput as error:
        yield Finding(checksums.CHECKSUMS, error.what)
        return
    there = {path.relative_to(folder).as_posix(): path for path in checksums.files(folder)}
    for name in sorted(known.keys() | there.keys()):
        if name not in there:
            yield Finding(name, "it is missing")
        elif name not in known:
            yield Finding(name, "it was added")
        elif there[name].is_symlink() or not there[name].is_file():
            yield Finding(name, "it is no plain file")
        else:
            try:
                same = checksums.sha256(there[name]) == known[name]
            except OSError as error:
                yield Finding(name, f"it cannot be read: {error.strerror}")
            else:
                if not same:
                    yield Finding(name, "its content changed")


def _base(metadata: Metadata, folder: Path) -> Iterator[Finding]:
    from lora_tui.adapters.base_shapes import misfits
    from lora_tui.adapters.peft_folder import PeftFolder

    try:
        with PeftFolder(folder) as adapter:
            found = misfits(metadata.base, adapter, metadata.base_revision)
    except BadInput:
        return  # `weights` says it
    yield from (Finding(describing.WEIGHTS, said) for said in found[:1])


def _metadata(metadata: Metadata, folder: Path) -> Iterator[Finding]:
    if (metadata.name, metadata.version) != (folder.parent.name, folder.name):
        here = f"{folder.parent.name}@{folder.name}"
        yield Finding(METADATA, f"it is of {metadata.name}@{metadata.version}, and lies where {here} belongs")
    try:
        weights_sum = checksums.read(folder).get(describing.WEIGHTS)
    except BadInput:
        weights_sum = None
    if metadata.weights_sha256 and weights_sum not in (None, metadata.weights_sha256):
        yield Finding(describing.WEIGHTS, "these are not the weights that its metadata names")
    config = describing.config_of(folder)
    if metadata.config_sha256 and config and checksums.config_sha256(config) != metadata.config_sha256:
        yield Finding(describing.CONFIG, "this is not the config that its metadata names")


def _finite(folder: Path) -> Iterator[Finding]:
    import numpy as np

    from lora_tui.adapters.tensor_files import TensorFile

    with TensorFile(folder / describing.WEIGHTS) as file:
        for name, info in file.tensors.items():
            raw = file.raw(name)
            if info.dtype == "BF16":
                bad = int(np.count_nonzero((raw & 0x7F80) == 0x7F80))  # all bits of the exponent: infinite or no number
            else:
                bad = int(raw.size - np.count_nonzero(np.isfinite(raw)))
            if bad:
                yield Finding(describing.WEIGHTS, f"{name}: {bad:,} of its {raw.size:,} values are not finite")


def _shapes(config: Mapping[str, Any], ranks: Mapping[str, int]) -> Iterator[Finding]:
    """Whether the ranks and modules of the weights are those of the config."""
    if not ranks:
        yield Finding(describing.WEIGHTS, "it holds no lora_A and lora_B")
    if config.get("target_parameters"):
        return  # the factors of all experts lie in one tensor
    patterns = config.get("rank_pattern") or {}
    for module, r in ranks.items():
        wanted = next((value for key, value in patterns.items() if peft_config.ends_with(key, module)), config.get("r"))
        if isinstance(wanted, int) and r != wanted:
            yield Finding(describing.WEIGHTS, f"{module} has rank {r}, and {describing.CONFIG} says {wanted}")
    targets = config.get("target_modules")
    if isinstance(targets, str) and targets != "all-linear":
        stray = [module for module in ranks if not re.fullmatch(targets, module)]
    elif isinstance(targets, list):
        stray = [module for module in ranks if not any(_is_target(str(target), module) for target in targets)]
    else:
        stray = []
    if stray:
        yield Finding(describing.WEIGHTS, f"{stray[0]} has weights, and it is no target module")


def targets_without_weights(config: Mapping[str, Any], modules: Collection[str]) -> list[str]:
    """Target modules that have no weights: the base has none of that name, or they were lost."""
    targets = config.get("target_modules")
    names = [str(target) for target in targets] if isinstance(targets, list) else []
    return [name for name in names if not any(_is_target(name, module) for module in modules)]


def _is_target(target: str, module: str) -> bool:
    return module == target or module.endswith(f".{target}")


def _parents(workspace: Workspace, adapter: Adapter) -> Iterator[Finding]:
    known = {item.label: item.metadata for item in registered(workspace)}
    own = adapter.metadata
    for label in own.parents:
        parent = known.get(label)
        if parent is None:
            continue
        if identity(parent.base)[0] != identity(own.base)[0]:
            yield Finding(METADATA, f"its base is {own.base}, and that of its parent {label} is {parent.base}")
        elif own.base_revision and parent.base_revision and own.base_revision != parent.base_revision:
            yield Finding(METADATA, f"its parent {label} is of another revision of the base, {parent.base_revision}")


def _is_told(findings: list[Finding], file: str) -> bool:
    return any(item.file == file for item in findings)
