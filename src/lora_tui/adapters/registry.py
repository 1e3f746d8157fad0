"""The registry: adapters/<name>/<semver>/, immutable folders in PEFT layout with what made them.

A finished training run leaves its adapter in the run folder; `register_finished` takes in every one that is not
here yet, so it does not matter who was watching when the run ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from pathlib import Path

import msgspec

from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train, load_job
from lora_tui.jobs.journal import Finished
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Lora

METADATA = "metadata.toml"
CHECKSUMS = "SHA256SUMS"
FISHER = "fisher.safetensors"  # what a later run's EWC is to hold to; only where the profile asked for it


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """metadata.toml: what made this adapter."""

    name: str
    version: str  # semver
    created: float  # epoch seconds
    base: str
    profile: str
    dataset: str
    dataset_hash: str
    run: str
    steps: int
    r: int
    lora_alpha: int
    loss: float | None = None
    eval_loss: float | None = None
    seconds: float = 0.0
    lora: Lora | None = None  # how it was made; what goes on from it must be the same
    parents: tuple[str, ...] = ()  # the versions it went on from
    new_rows_only: bool = False  # it was trained on the rows alone that its parents had not seen
    general_loss_before: float | None = None  # on held general conversations, in nats per token
    general_loss: float | None = None  # the same after training
    general_kl: float | None = None  # mean KL per token from what was before to this adapter, on the same


class Adapter(msgspec.Struct, frozen=True):
    """One registered version."""

    folder: Path
    metadata: Metadata

    @property
    def label(self) -> str:
        """How people name it: tiny@1.0.0."""
        return f"{self.metadata.name}@{self.metadata.version}"


def adapters(workspace: Workspace) -> list[Adapter]:
    """Every registered version, newest first; takes in what runs finished meanwhile."""
    register_finished(workspace)
    return _registered(workspace)


def find(workspace: Workspace, label: str) -> Adapter:
    """The version called 'tiny@1.2.0', or the newest of 'tiny'. Raises BadInput."""
    name, _, version = label.partition("@")
    found = [item for item in adapters(workspace) if item.metadata.name == name]
    if version:
        found = [item for item in found if item.metadata.version == version]
    if not found:
        known = ", ".join(item.label for item in _registered(workspace)) or "none yet"
        raise BadInput(f"there is no adapter {label!r}", fix=f"Known: {known}. `lora-tui train` makes one.")
    return max(found, key=lambda item: _order(item.metadata.version))


def register_finished(workspace: Workspace) -> list[Adapter]:
    """Register the adapter of every finished training run that is not registered yet; of a sweep, the best one's."""
    known = {item.metadata.run for item in _registered(workspace)}
    fresh = []
    for run in reversed(supervisor.runs(workspace)):
        job = run.file.job
        if isinstance(job, Train) and run.id not in known and (run.folder / "adapter").is_dir():
            if job.sweep and not _won(workspace, run, job):
                continue
            view = RunView.of(run)
            if isinstance(view.last_word, Finished):
                with contextlib.suppress(LoraTuiError):  # another process registered it meanwhile
                    fresh.append(_register(workspace, run, view.last_word, view))
    return fresh


def _won(workspace: Workspace, run: Run, job: Train) -> bool:
    """Whether the run is the best of its sweep, which has finished; the others stay in their run folders."""
    path = workspace.runs / job.sweep / "job.toml"
    if not path.is_file():
        return True  # a sweep that was removed decides nothing
    word = RunView.of(Run(folder=path.parent, file=load_job(path))).last_word
    return isinstance(word, Finished) and word.output == run.id


def damaged_files(adapter: Adapter) -> list[str]:
    """The files whose content is not what SHA256SUMS says; that file itself when it is gone."""
    if not (adapter.folder / CHECKSUMS).is_file():
        return [CHECKSUMS]
    damaged = []
    for line in (adapter.folder / CHECKSUMS).read_text().splitlines():
        known, _, name = line.partition("  ")
        path = adapter.folder / name
        if not path.is_file() or _sha256(path) != known:
            damaged.append(name)
    return damaged


def _registered(workspace: Workspace) -> list[Adapter]:
    found = []
    for path in workspace.adapters.glob(f"*/*/{METADATA}"):
        try:
            found.append(Adapter(folder=path.parent, metadata=toml.load(path, Metadata)))
        except LoraTuiError:
            continue
    return sorted(found, key=lambda item: item.metadata.created, reverse=True)


def _register(workspace: Workspace, run: Run, finished: Finished, view: RunView) -> Adapter:
    job = run.file.job
    assert isinstance(job, Train)
    name = job.profile.name
    taken = [item.metadata.version for item in _registered(workspace) if item.metadata.name == name]
    before, after = (view.general[0], view.general[-1]) if view.general else (None, None)
    metadata = Metadata(
        name=name,
        version=_next(taken, job.start_name, name),
        created=time.time(),
        base=job.base,
        profile=job.profile.name,
        dataset=job.dataset_name or job.dataset,
        dataset_hash=job.dataset_hash,
        run=run.id,
        steps=finished.steps,
        r=job.profile.lora.r,
        lora_alpha=job.profile.lora.lora_alpha,
        loss=finished.loss,
        eval_loss=finished.eval_loss,
        seconds=finished.seconds,
        lora=job.profile.lora,
        parents=(job.start_name or job.start_from,) if job.start_from else (),
        new_rows_only=bool(job.known),
        general_loss_before=before.loss if before else None,
        general_loss=after.loss if after else None,
        general_kl=after.kl if after else None,
    )
    folder = workspace.adapters / name / metadata.version
    with atomic.new_folder(folder) as draft:
        shutil.copytree(run.folder / "adapter", draft, dirs_exist_ok=True)
        (draft / METADATA).write_text(toml.dump(metadata))
        (draft / "README.md").write_text(_card(metadata))
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        (draft / CHECKSUMS).write_text("".join(f"{_sha256(path)}  {path.relative_to(draft)}\n" for path in files))
    return Adapter(folder=folder, metadata=metadata)


def _next(taken: list[str], start: str, name: str) -> str:
    """The next major version; the next minor one of what a run went on from, whose contract it keeps."""
    numbers = [_order(version) for version in taken]
    parent, _, version = start.partition("@")
    if parent == name and version in taken:
        major = _order(version)[0]
        return f"{major}.{max(number[1] for number in numbers if number[0] == major) + 1}.0"
    return f"{max((number[0] for number in numbers), default=0) + 1}.0.0"


def _card(metadata: Metadata) -> str:
    return (
        f"# {metadata.name} {metadata.version}\n\n"
        f"A LoRA adapter (r {metadata.r}, alpha {metadata.lora_alpha}) for `{metadata.base}`, trained by lora-tui for "
        f"{metadata.steps} steps on the dataset {metadata.dataset} with the profile `{metadata.profile}`.\n\n"
        f"{_history(metadata)}"
        "Load it with `peft.PeftModel.from_pretrained(base, folder)`.\n"
    )


def _history(metadata: Metadata) -> str:
    said = []
    if metadata.parents:
        rows = ", with the rows alone that it had not seen" if metadata.new_rows_only else ""
        said.append(f"It goes on from {', '.join(metadata.parents)}{rows}.")
    if metadata.general_loss is not None and metadata.general_loss_before is not None:
        said.append(
            f"Loss on held general conversations: {metadata.general_loss_before:.3f} before, "
            f"{metadata.general_loss:.3f} after, in nats per token."
        )
    return " ".join(said) + "\n\n" if said else ""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
