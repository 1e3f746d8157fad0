"""Dataset versions on disk: datasets/<name>/<n>/, immutable and hashed. Building, listing, finding."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.curation import tool_names
from lora_tui.curation.redact_rules import stamp as redaction
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.refresh import stamp as examples_stamp
from lora_tui.dataset import targets
from lora_tui.dataset.choose import accepted_by_people, capped, distinct
from lora_tui.dataset.model import SPLITS, TOOLS_FILE, Dataset, Manifest, Rejected
from lora_tui.dataset.safe_capture import without_secrets
from lora_tui.dataset.select import Candidate, select
from lora_tui.dataset.split import RULE, roots, split
from lora_tui.sources.opencode.capture import Capture, load_capture
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
EVERYTHING = Data()

_lines = msgspec.json.Encoder()


def build(
    workspace: Workspace,
    name: str,
    data: Data = EVERYTHING,
    *,
    shares: tuple[int, int, int] = (80, 10, 10),
    seed: int = 42,
    profile: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Make the next version of `name` from the accepted examples; the folder appears whole or not at all.

    Raises BadInput when the name, the shares or the capture cannot be used or no example passes.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a dataset", fix="Use small letters, digits, dots and dashes.")
    if sum(shares) != 100 or min(shares) < 0:
        raise BadInput(f"the split {'/'.join(map(str, shares))} does not add up to 100")
    if data.capture and data.shape == "plain":
        raise BadInput("a plain row has no place for an agent's prompt and tools", fix="Leave out `capture`.")
    capture = without_secrets(load_capture(workspace, data.capture), switched_off(workspace)) if data.capture else None
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for number, found in enumerate(select(workspace, data, capture), start=1):
        if isinstance(found, Rejected):
            rejected.append(found)
        else:
            candidates.append(found)
        if progress is not None:
            progress(number, 0)
    candidates, twins = distinct(candidates, accepted_by_people(workspace))
    candidates, too_many = capped(candidates, data.synthetic_share, seed)
    rejected += [*twins, *too_many]
    if not candidates:
        raise _nothing(data, rejected)
    taken = [int(path.name) for path in (workspace.datasets / name).glob("*") if path.name.isdigit()]
    version = max(taken, default=0) + 1  # by folder: a damaged version keeps its number
    folder = workspace.datasets / name / str(version)
    with atomic.new_folder(folder) as draft:
        manifest = _write(workspace, draft, candidates, rejected, shares, seed, capture)
        manifest = msgspec.structs.replace(
            manifest, name=name, version=version, profile=profile, **_asked(data, capture, switched_off(workspace))
        )
        (draft / "manifest.toml").write_text(toml.dump(manifest))
    return Dataset(folder=folder, manifest=manifest)


def _nothing(data: Data, rejected: Sequence[Rejected]) -> BadInput:
    which = " or ".join(data.languages) or "any language"
    reasons = Counter(item.reason for item in rejected if not item.reason.startswith(("label:", "language:")))
    if reasons:
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
        return BadInput(
            f"no accepted example of {which} can be a row of this dataset: {why}",
            fix="Ask for another shape, other sources or outcomes, or accept more examples.",
        )
    return BadInput(
        f"no accepted example of {which}",
        fix="Accept some first: in the app under Sessions, or with `lora-tui label … --accept`.",
    )


def _asked(data: Data, capture: Capture | None, off: frozenset[str]) -> dict[str, Any]:
    """What the selection asked for, under the manifest's names."""
    return {
        "languages": data.languages,
        "shape": data.shape,
        "form": data.form,
        "tool_target": data.tool_target,
        "cap": data.cap,
        "context": data.context,
        "capture": capture.agent if capture is not None else "",
        "capture_hash": capture.sha256 if capture is not None else "",
        "reasoning": data.reasoning,
        "outcomes": data.outcomes,
        "models": data.models,
        "sources": data.sources,
        "synthetic_share": data.synthetic_share,
        "tables": {
            "examples": examples_stamp(off).strip(),
            "redaction": redaction(off),
            "tools": str(tool_names.table().version),
            "targets": str(targets.table().version),
        },
    }


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


def rejected(dataset: Dataset) -> Iterator[Rejected]:
    """What was left out, in the order of the file. Raises BadInput with the line that cannot be read."""
    path = dataset.folder / "rejected.jsonl"
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield msgspec.json.decode(line, type=Rejected)
            except msgspec.DecodeError as error:
                raise BadInput(f"not a rejected example: {error}", where=f"{path}:{number}") from error


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
    capture: Capture | None,
) -> Manifest:
    """Write the split files in a fixed order; returns the manifest without its name and what was asked for."""
    candidates.sort(key=lambda item: (item.created, item.row.id))
    parents = dict(
        workspace.connection().execute("SELECT native_id, parent FROM session WHERE parent IS NOT NULL").fetchall()
    )
    above = roots(parents)
    synthetic = [item.row.origin == "synthetic" for item in candidates]  # never measured on: always in train
    groups = [above.get(item.row.session, item.row.session) for item in candidates]
    real = iter(split([group for group, made in zip(groups, synthetic, strict=True) if not made], shares, seed))
    placed = ["train" if made else next(real) for made in synthetic]
    for name in SPLITS:
        with (folder / f"{name}.jsonl").open("wb") as file:
            for item, where in zip(candidates, placed, strict=True):
                if where == name:
                    file.write(_lines.encode(item.row) + b"\n")
    with (folder / "rejected.jsonl").open("wb") as file:
        for left_out in rejected:
            file.write(_lines.encode(left_out) + b"\n")
    if capture is not None:
        (folder / TOOLS_FILE).write_bytes(_lines.encode({capture.agent: capture.tools}))
    written = [f"{name}.jsonl" for name in SPLITS] + ([TOOLS_FILE] if capture is not None else [])
    files = {name: _sha256(folder / name) for name in (*written, "rejected.jsonl")}
    rows = [item.row for item in candidates]
    return Manifest(
        name="",
        version=0,
        created=time.time(),
        hash=hashlib.sha256("".join(files[name] for name in written).encode()).hexdigest(),
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
        by_shape=_count(row.shape for row in rows),
        by_origin=_count(row.origin for row in rows),
        by_licence=_count(row.licence or "unknown" for row in rows),
        findings=_count(rule for item in candidates for rule in item.placeholders),
    )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
