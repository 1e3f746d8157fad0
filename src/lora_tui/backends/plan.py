"""The plan: what a run would do, before it does it. Counted by the engine with the base's own tokenizer."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from lora_tui.backends import audits, bases, local, measure, memory
from lora_tui.backends.hardware import Machine, machine
from lora_tui.backends.intact import check_intact
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.audit import Audited, Finding
from lora_tui.jobs.job import Train
from lora_tui.jobs.measured import Measured
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, Training

_GRAVEST = {"error": 0, "warning": 1, "note": 2}


class Plan(msgspec.Struct, frozen=True):
    """What training `profile` on `dataset` would take on this machine."""

    profile: str
    dataset: str
    base: str
    audited: Audited
    measured: Measured
    steps: int  # optimizer steps of the whole run
    findings: tuple[Finding, ...]  # of the audit, the gravest first
    memory: memory.Estimate
    memory_available: int  # bytes on the device it would run on
    device: str
    seconds: float | None  # at the pace of this machine's last run of the same base; None when there is none
    warnings: tuple[str, ...]


def plan(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    progress: Callable[[str], None] = lambda line: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Plan:
    """Audit, measure and estimate. Both are done once per dataset, base and settings, and remembered.

    Raises LoraTuiError when the dataset is damaged, the base cannot be loaded or the engine is not installed, and
    Cancelled when `cancelled` says so.
    """

    def tell(stage: str, done: int, total: int) -> None:
        progress(f"{stage}: {done:,} of {total:,}" if total else stage)

    check_intact(dataset)
    base = bases.resolve(workspace, profile)
    audited = audits.ensure(workspace, dataset, base, profile, progress=tell, cancelled=cancelled)
    measured = measure.ensure(workspace, base, profile, progress=tell, cancelled=cancelled)
    host = machine(workspace.root)
    needed = memory.estimate(audited, measured, profile, gpu=bool(host.gpus))
    device, available = _device(host)
    return Plan(
        profile=profile.name,
        dataset=dataset.label,
        base=base,
        audited=audited,
        measured=measured,
        steps=steps_of(audited.train.rows, profile.training),
        findings=tuple(sorted(audited.findings, key=lambda item: _GRAVEST[item.severity])),
        memory=needed,
        memory_available=available,
        device=device,
        seconds=_seconds(workspace, base, profile, audited),
        warnings=tuple(_warnings(profile, audited, needed, available)),
    )


def steps_of(rows: int, training: Training) -> int:
    """Optimizer steps of the whole run, as Trainer counts them in one process."""
    if training.max_steps > 0:
        return training.max_steps
    micro = math.ceil(rows / training.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(micro / training.gradient_accumulation_steps))
    return math.ceil(training.num_train_epochs * per_epoch)


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
                return audited.train.loss_tokens * _epochs(profile, audited) / (sum(paces) / len(paces))
    return None


def _epochs(profile: Profile, audited: Audited) -> float:
    if profile.training.max_steps > 0 and audited.train.rows:
        rows_a_step = profile.training.per_device_train_batch_size * profile.training.gradient_accumulation_steps
        return profile.training.max_steps * rows_a_step / audited.train.rows
    return profile.training.num_train_epochs


def _warnings(profile: Profile, audited: Audited, needed: memory.Estimate, available: int) -> list[str]:
    """What is to be known beside the audit's findings."""
    found = [lacking] if (lacking := local.missing(profile)) else []
    if profile.data.target and audited.train.rows < profile.data.target:
        found.append(f"{_rows(audited.train.rows)} to train on; the profile aims at {profile.data.target}")
    if needed.total > available:
        found.append("it needs more memory than is free: use a smaller batch, rank, max_length or base")
    return found


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
