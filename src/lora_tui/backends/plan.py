"""The plan: what a run would do, before it does it. Counted by the engine with the base's own tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lora_tui.backends import bases, local, memory
from lora_tui.backends.hardware import Machine, machine
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import audit, supervisor
from lora_tui.jobs.audit import Audited
from lora_tui.jobs.job import Audit, Train
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_AUDIT_SECONDS = 600.0


class Plan(msgspec.Struct, frozen=True):
    """What training `profile` on `dataset` would take on this machine."""

    profile: str
    dataset: str
    base: str
    audited: Audited
    memory: memory.Estimate
    memory_available: int  # bytes on the device it would run on
    device: str
    seconds: float | None  # at the pace of this machine's last run of the same base; None when there is none
    warnings: tuple[str, ...]


def plan(
    workspace: Workspace, profile: Profile, dataset: Dataset, progress: Callable[[str], None] | None = None
) -> Plan:
    """Count and estimate. The counting is done once per dataset, base and profile, and remembered.

    Raises LoraTuiError when the dataset is damaged, the base cannot be loaded or the engine is not installed.
    """
    local.check_intact(dataset)
    base = bases.resolve(workspace, profile)
    audited = _audited(workspace, profile, base, dataset, progress)
    host = machine(workspace.root)
    needed = memory.estimate(audited, profile, gpu=bool(host.gpus))
    device, available = _device(host)
    return Plan(
        profile=profile.name,
        dataset=dataset.label,
        base=base,
        audited=audited,
        memory=needed,
        memory_available=available,
        device=device,
        seconds=_seconds(workspace, base, profile, audited),
        warnings=tuple(_warnings(profile, dataset, audited, needed, available)),
    )


def _audited(
    workspace: Workspace, profile: Profile, base: str, dataset: Dataset, progress: Callable[[str], None] | None
) -> Audited:
    job = Audit(profile=profile, base=base, dataset=str(dataset.folder), dataset_hash=dataset.manifest.hash)
    for run in supervisor.runs(workspace):
        if run.file.job == job and (run.folder / audit.FILE).is_file():
            return audit.load(run.folder)
    run = supervisor.create(workspace, job, f"{dataset.label} counted for {profile.name}")
    if progress is not None:
        progress("counting tokens with the model's own template")
    supervisor.start(run)
    if not supervisor.wait(run, _AUDIT_SECONDS):
        supervisor.kill(run)
        raise LoraTuiError("counting the dataset took too long", where=str(run.folder))
    view = RunView.of(run)
    if view.state != "finished":
        raise LoraTuiError(view.failure or "the counting ended early", where=str(run.folder / "stderr.log"))
    return audit.load(run.folder)


def _device(host: Machine) -> tuple[str, int]:
    if host.gpus:
        roomiest = max(host.gpus, key=lambda gpu: gpu.memory_total - gpu.memory_used)
        return roomiest.name, roomiest.memory_total - roomiest.memory_used
    return f"CPU, {host.cores} cores", host.ram_available


def _seconds(workspace: Workspace, base: str, profile: Profile, audited: Audited) -> float | None:
    for run in supervisor.runs(workspace):
        if isinstance(run.file.job, Train) and run.file.job.base == base:
            paces = [item.tokens_per_second for item in RunView.of(run).metrics if item.tokens_per_second]
            if paces:
                return audited.loss_tokens * _epochs(profile, audited) / (sum(paces) / len(paces))
    return None


def _epochs(profile: Profile, audited: Audited) -> float:
    if profile.training.max_steps > 0 and audited.rows:
        rows_a_step = profile.training.per_device_train_batch_size * profile.training.gradient_accumulation_steps
        return profile.training.max_steps * rows_a_step / audited.rows
    return profile.training.num_train_epochs


def _warnings(
    profile: Profile, dataset: Dataset, audited: Audited, needed: memory.Estimate, available: int
) -> list[str]:
    found = [lacking] if (lacking := local.missing(profile)) else []
    if audited.rows_too_long:
        found.append(
            f"left out, never cut: {_rows(len(audited.rows_too_long))} longer than max_length {audited.max_length:,}"
            f" (the longest has {audited.longest:,} tokens)"
        )
    if audited.rows_without_loss:
        found.append(f"left out: {_rows(len(audited.rows_without_loss))} with nothing to learn from")
    if not audited.validation_rows:
        found.append("there is no validation split: overfitting will not be seen")
    if profile.data.target and audited.rows < profile.data.target:
        found.append(f"{_rows(audited.rows)} to train on; the profile aims at {profile.data.target}")
    foreign = set(dataset.manifest.by_language) - set(profile.data.languages)
    if profile.data.languages and foreign:
        found.append(f"the dataset holds languages the profile is not for: {', '.join(sorted(foreign))}")
    if needed.total > available:
        found.append("it needs more memory than is free: use a smaller batch, rank, max_length or base")
    return found


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
