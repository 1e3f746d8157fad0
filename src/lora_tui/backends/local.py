"""The local backend: a training run on this machine, as a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lora_tui.backends import audits, bases, engines, measure, probe
from lora_tui.backends.chat_file import chat_file
from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.hardware import machine
from lora_tui.backends.intact import check_intact
from lora_tui.backends.lacking import QUANT, missing
from lora_tui.backends.needs import inside, needed
from lora_tui.backends.place import place_of
from lora_tui.backends.processes import ONE, Processes
from lora_tui.backends.start import Start, check_fits
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.audit import Audited
from lora_tui.jobs.job import Prompt, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, sanity


def train(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    samples: Sequence[Prompt] = (),
    *,
    processes: Processes = ONE,
    start: Start | None = None,
    allow: Collection[str] = (),
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> Run:
    """Start fine-tuning and return at once; the run goes on by itself. It takes and raises what `prepared` does."""
    job, warnings = prepared(
        workspace,
        profile,
        dataset,
        samples,
        processes=processes,
        start=start,
        allow=allow,
        progress=progress,
        cancelled=cancelled,
    )
    run = created(workspace, job, warnings)
    supervisor.start(run)
    return run


def prepared(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    samples: Sequence[Prompt] = (),
    *,
    processes: Processes = ONE,
    start: Start | None = None,
    allow: Collection[str] = (),
    here: bool = True,
    progress: Tell = unheard,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Train, list[journal.Warned]]:
    """What a run would do, and what its journal begins with. The dataset is audited first, once per base.

    samples: prompts that the model answers at every evaluation, so that one can see it learn.
    processes: on how many GPUs and machines.
    start: the adapter version it goes on from; without one it begins a fresh adapter.
    allow: codes of the audit's errors that training goes on in spite of; the run keeps them.
    here: it is this machine that trains, and what it lacks or has counts.
    progress, cancelled: of the audit. Raises Cancelled when it says so: nothing was started.
    Raises BadInput when what the profile says cannot be together or is not installed here, the dataset is damaged, or
    the audit found an error that is not allowed.
    """
    sanity.refuse(profile)
    lacking = missing(profile) if here else ""
    if lacking:
        raise BadInput(lacking, where=f"profile {profile.name}", fix=QUANT)
    check_intact(dataset)
    base = bases.resolve(workspace, profile)
    if start is not None:
        check_fits(profile, base, start)
    general, replay = (chat_file(workspace, key, profile) for key in ("general", "replay_file"))
    audited = audits.ensure(workspace, dataset, base, profile, progress=progress, cancelled=cancelled)
    allowed = audits.check_allowed(dataset, audited, allow)
    many = processes.nproc * processes.nnodes
    profile, python, warnings = engines.chosen(workspace, profile, many) if here else (profile, "", [])
    job = Train(
        profile=profile,
        base=base,
        dataset=str(dataset.folder),
        dataset_name=dataset.label,
        dataset_hash=dataset.manifest.hash,
        samples=tuple(samples),
        allowed=allowed,
        nproc=processes.nproc,
        nnodes=processes.nnodes,
        address=processes.address,
        planned_bytes=_planned(workspace, base, profile, dataset, audited, many) if here else 0,
        python=python,
        start_from=str(start.folder) if start else "",
        start_name=start.name if start else "",
        known=tuple(sorted(start.known)) if start else (),
        general=general,
        replay=replay,
    )
    warnings += [
        journal.Warned(message=f"allowed: {finding.code}: {finding.message}", advice=finding.fix)
        for finding in audited.errors
        if allowed
    ]
    return job, warnings


def created(
    workspace: Workspace, job: Train, warnings: Sequence[journal.Warned], *, title: str = "", identity: str = ""
) -> Run:
    """The run of a prepared job, not started."""
    onwards = f" from {job.start_name}" if job.start_name else ""
    title = title or f"{job.profile.name} on {job.dataset_name}{onwards}"
    run = supervisor.create(workspace, job, title, identity=identity)
    if warnings:
        log = journal.Journal(run.journal)
        for warning in warnings:
            log.write(warning)
        log.close()
    return run


def _planned(
    workspace: Workspace, base: str, profile: Profile, dataset: Dataset, audited: Audited, processes: int
) -> int:
    """What a plan would say one process takes, without starting the engine to count what was never counted."""
    if processes == 1 and (found := probe.remembered(workspace, base, profile, dataset)) is not None:
        return found.peak
    known = inside(base, profile, audited, measure.remembered(workspace, base, profile))
    return needed(profile, known, audited, place_of(machine(workspace.root)), processes).total
