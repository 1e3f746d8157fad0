"""Dataset versions on disk: datasets/<name>/<n>/, immutable and hashed. Building, listing, finding."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from lora_tui.dataset.model import SPLITS, Dataset, Manifest, Rejected
from lora_tui.dataset.select import Candidate, select
from lora_tui.dataset.split import RULE, roots, split
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_lines = msgspec.json.Encoder()


def build(
    workspace: Workspace,
    name: str,
    *,
    languages: Sequence[str] = (),
    min_confidence: float = 0.0,
    shares: tuple[int, int, int] = (80, 10, 10),
    seed: int = 42,
    profile: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Make the next version of `name` from the accepted examples; the folder appears whole or not at all.

    Raises BadInput when the name or the shares cannot be used or no example passes.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a dataset", fix="Use small letters, digits, dots and dashes.")
    if sum(shares) != 100 or min(shares) < 0:
        raise BadInput(f"the split {'/'.join(map(str, shares))} does not add up to 100")
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    seen: set[str] = set()
    for number, found in enumerate(select(workspace, languages, min_confidence), start=1):
        if isinstance(found, Rejected):
            rejected.append(found)
        elif found.row.id in seen:
            rejected.append(Rejected(found.row.id, found.row.example, "same content twice", ""))
        else:
            seen.add(found.row.id)
            candidates.append(found)
        if progress is not None:
            progress(number, 0)
    if not candidates:
        which = " or ".join(languages) or "any language"
        raise BadInput(
            f"no accepted example of {which}",
            fix="Accept some first: in the app under Sessions, or with `lora-tui label … --accept`.",
        )
    taken = [int(path.name) for path in (workspace.datasets / name).glob("*") if path.name.isdigit()]
    version = max(taken, default=0) + 1  # by folder: a damaged version keeps its number
    folder = workspace.datasets / name / str(version)
    with atomic.new_folder(folder) as draft:
        manifest = _write(workspace, draft, candidates, rejected, shares, seed)
        manifest = msgspec.structs.replace(
            manifest, name=name, version=version, languages=tuple(languages), profile=profile
        )
        (draft / "manifest.toml").write_text(toml.dump(manifest))
    return Dataset(folder=folder, manifest=manifest)


def versions(workspace: Workspace) -> list[Dataset]:
    """Every dataset version, newest first."""
    found = []
    for path in workspace.datasets.glob("*/*/manifest.toml"):
        if path.parent.name.isdigit():
            try:
                found.append(Dataset(folder=path.parent, manifest=toml.load(path, Manifest)))
            except LoraTuiError:
                continue
    return sorted(found, key=lambda item: (item.manifest.created, item.manifest.version), reverse=True)


def find(workspace: Workspace, label: str) -> Dataset:
    """The version called 'rust@2', or the newest of 'rust'. Raises BadInput."""
    name, _, number = label.partition("@")
    matching = [item for item in versions(workspace) if item.manifest.name == name]
    if number:
        matching = [item for item in matching if str(item.manifest.version) == number]
    if not matching:
        known = ", ".join(item.label for item in versions(workspace)) or "none yet"
        raise BadInput(f"there is no dataset {label!r}", fix=f"Known: {known}. Make one with `lora-tui dataset build`.")
    return max(matching, key=lambda item: item.manifest.version)


def damaged_files(dataset: Dataset) -> list[str]:
    """The files whose content is no longer what the manifest says."""
    return [
        name
        for name, known in dataset.manifest.files.items()
        if not (dataset.folder / name).is_file() or _sha256(dataset.folder / name) != known
    ]


def _write(
    workspace: Workspace,
    folder: Path,
    candidates: list[Candidate],
    rejected: list[Rejected],
    shares: tuple[int, int, int],
    seed: int,
) -> Manifest:
    """Write the split files in a fixed order; returns the manifest without its name."""
    candidates.sort(key=lambda item: (item.created, item.row.id))
    parents = dict(
        workspace.connection().execute("SELECT native_id, parent FROM session WHERE parent IS NOT NULL").fetchall()
    )
    above = roots(parents)
    placed = split([above.get(item.row.session, item.row.session) for item in candidates], shares, seed)
    for name in SPLITS:
        with (folder / f"{name}.jsonl").open("wb") as file:
            for item, where in zip(candidates, placed, strict=True):
                if where == name:
                    file.write(_lines.encode(item.row) + b"\n")
    with (folder / "rejected.jsonl").open("wb") as file:
        for left_out in rejected:
            file.write(_lines.encode(left_out) + b"\n")
    files = {f"{name}.jsonl": _sha256(folder / f"{name}.jsonl") for name in (*SPLITS, "rejected")}
    rows = [item.row for item in candidates]
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=hashlib.sha256("".join(files[f"{name}.jsonl"] for name in SPLITS).encode()).hexdigest(),
        seed=seed,
        split=shares,
        split_rule=RULE,
        languages=(),
        rows={name: placed.count(name) for name in SPLITS},
        by_language=_count(row.language for row in rows),
        by_source=_count(row.source for row in rows),
        by_model=_count(row.model or "unknown" for row in rows),
        left_out=_count(item.reason for item in rejected),
        files=files,
    )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
