"""The audits of a dataset version: made once per base and settings, and kept beside the version's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

import msgspec

from lora_tui.backends import bases
from lora_tui.backends.counting import Tell, do, unheard
from lora_tui.backends.intact import check_intact
from lora_tui.curation import suites
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import audit
from lora_tui.jobs.audit import Audited
from lora_tui.jobs.job import Audit
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile


def cached(
    workspace: Workspace, dataset: Dataset, base: str, profile: Profile, only: Collection[str] | None = None
) -> Audited | None:
    """The audit of this dataset for a resolved base and a profile, when there is one; reads two small files."""
    path = Path(job(workspace, dataset, base, profile, only).output)
    try:
        return audit.load(path) if path.is_file() else None
    except LoraTuiError:  # of another release, or damaged: it is made again
        return None


def ensure(
    workspace: Workspace,
    dataset: Dataset,
    base: str,
    profile: Profile,
    only: Collection[str] | None = None,
    *,
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> Audited:
    """The audit, made by the engine where there is none yet.

    only: names of the suites whose prompts must not be trained on; None for every one.
    Raises Cancelled when `cancelled` says so, LoraTuiError with the reason when it cannot be made, also where the
    dataset's files are not what was built.
    """
    if (found := cached(workspace, dataset, base, profile, only)) is not None:
        return found
    check_intact(dataset)  # what is counted would be kept as that of the rows that were built
    asked = job(workspace, dataset, base, profile, only)
    do(workspace, asked, f"audit of {dataset.label}", progress, cancelled)
    made = audit.load(Path(asked.output))
    later = job(workspace, dataset, base, profile, only)
    if later.output != asked.output:  # the base came from the Hub meanwhile and is known by its commit now
        made = msgspec.structs.replace(made, tokenizer=later.tokenizer)
        audit.save(Path(later.output), made)
        Path(asked.output).unlink(missing_ok=True)
    return made


def every(dataset: Dataset) -> list[Audited]:
    """Every audit of a version that this release can read, by base and length."""
    found = []
    for path in (dataset.folder / audit.FOLDER).glob("*.json"):
        try:
            found.append(audit.load(path))
        except LoraTuiError:
            continue
    return sorted(found, key=lambda item: (item.base, item.max_length, item.tokenizer))


def check_allowed(dataset: Dataset, audited: Audited, allow: Collection[str]) -> tuple[str, ...]:
    """The codes of `allow` that are needed to train. Raises BadInput for an error that is not allowed by name."""
    unknown = sorted(set(allow) - set(audit.ERRORS))
    if unknown:
        raise BadInput(
            f"there is no error called {', '.join(map(repr, unknown))}", fix=f"Known: {', '.join(audit.ERRORS)}."
        )
    blocking = [item for item in audited.errors if item.code not in allow]
    if blocking:
        told = "; ".join(f"{item.code}: {item.message}{_named(item)}" for item in blocking)
        flags = " ".join(f"--allow {item.code}" for item in blocking)
        fixes = " ".join(item.fix for item in blocking[:1] if item.fix)
        raise BadInput(
            f"the audit found what should not be trained on: {told}",
            where=dataset.label,
            fix=f"{fixes} To train in spite of it: {flags}".strip(),
        )
    return tuple(sorted({item.code for item in audited.errors}))


def _named(item: audit.Finding, most: int = 3) -> str:
    if not item.rows:
        return ""
    more = f" and {item.count - most:,} more" if item.count > most else ""
    return f" (rows {', '.join(item.rows[:most])}{more})"


def job(
    workspace: Workspace, dataset: Dataset, base: str, profile: Profile, only: Collection[str] | None = None
) -> Audit:
    """What the engine is asked for; `output` is where the audit lies, or will."""
    asked = Audit(
        base=base,
        dataset=str(dataset.folder),
        output="",
        max_length=profile.training.max_length,
        dataset_hash=dataset.manifest.hash,
        tokenizer=bases.fingerprint(base),
        batch_size=profile.training.per_device_train_batch_size,
        languages=tuple(sorted(profile.data.languages)),
        suites=suite_texts(workspace, only),
    )
    # Not by where the folders lie: a workspace can be moved.
    known = msgspec.structs.replace(asked, dataset="", base=base if asked.tokenizer.startswith(base) else "")
    key = hashlib.sha256(msgspec.json.encode((audit.VERSION, known))).hexdigest()[:24]
    return msgspec.structs.replace(asked, output=str(dataset.folder / audit.FOLDER / f"{key}.json"))


def suite_texts(workspace: Workspace, names: Collection[str] | None = None) -> tuple[tuple[str, str], ...]:
    """(suite, text) of what these suites ask and expect, of all where none are named. Raises BadInput for unknown ones.

    They travel with the job: the engine has no workspace.
    """
    files = suites.suite_files(workspace)
    if unknown := sorted(set(names or ()) - set(files)):
        raise BadInput(f"there is no suite {unknown[0]!r}", fix=f"Known: {', '.join(sorted(files)) or 'none yet'}.")
    found: list[tuple[str, str]] = []
    for name, path in files.items():
        if names is None or name in names:
            state = path.stat()
            found += ((name, text) for text in _texts(path, state.st_mtime_ns, state.st_size))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _texts(path: Path, changed: int, size: int) -> tuple[str, ...]:
    """What a suite asks and expects; the file is read again when it changed."""
    return (*suites.prompts(path), *suites.references(path))
