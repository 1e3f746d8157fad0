"""What a manifest says of a version: its rows in numbers, its files' hashes, the rules it was made with."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lora_tui.curation import tool_names
from lora_tui.curation.redact_rules import stamp as redaction
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.refresh import stamp as examples_stamp
from lora_tui.dataset import targets
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import SPLITS, TOOLS_FILE, Count, Member
from lora_tui.sources.opencode.capture import Capture
from lora_tui.workspace.layout import Workspace

Placed = tuple[Candidate, Member]


def facts(members: Sequence[Placed]) -> dict[str, Any]:
    """What a manifest says of the rows, under its keys."""
    rows = [item for item, _ in members]
    counts = Counter((item.language, item.source, member.split) for item, member in members)
    kinds = sorted({(language, source) for language, source, _ in counts})
    where = Counter(member.split for _, member in members)
    return {
        "rows": {name: where[name] for name in SPLITS},
        "counts": tuple(
            Count(language, source, *(counts[language, source, name] for name in SPLITS)) for language, source in kinds
        ),
        "by_model": _count(row.model or "unknown" for row in rows),
        "by_shape": _count(row.shape for row in rows),
        "by_origin": _count(row.origin for row in rows),
        "by_licence": _count(row.licence or "unknown" for row in rows),
        "by_repository": _count(last_name(row.repository) or "unknown" for row in rows),
        "findings": _count(rule for row in rows for rule in row.findings),
    }


def made_with(workspace: Workspace, capture: Capture | None) -> dict[str, str]:
    """`tables`, and what else rows depend on: a captured prompt names the day as it was on this machine."""
    return tables(workspace) | ({"timezone": "/".join(time.tzname)} if capture is not None else {})


def tables(workspace: Workspace) -> dict[str, str]:
    """The versions of the rules that rows are made with now."""
    off = switched_off(workspace)
    return {
        "examples": examples_stamp(off).strip(),
        "redaction": redaction(off),
        "tools": str(tool_names.table().version),
        "targets": str(targets.table().version),
    }


def hashed_files(tools: bool) -> tuple[str, ...]:
    """The files that a version's hash covers."""
    return (*(f"{name}.jsonl" for name in SPLITS), *((TOOLS_FILE,) if tools else ()))


def whole_hash(files: dict[str, str], covered: Iterable[str]) -> str:
    """A version's hash, from those of its files."""
    return hashlib.sha256("".join(files[name] for name in covered).encode()).hexdigest()


def last_name(directory: str) -> str:
    """A folder's own name, whatever the machine it was on."""
    return directory.replace("\\", "/").rstrip("/").rpartition("/")[2]


def sha256(path: Path) -> str:
    """A file's hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
