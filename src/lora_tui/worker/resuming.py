"""Where a run goes on: the newest whole checkpoint that was made with its settings, and the batch that fits."""

from __future__ import annotations

from pathlib import Path

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.worker import checkpoints, loading, ranks
from lora_tui.worker.checkpoints import Point
from lora_tui.worker.fingerprint import differences, fingerprint
from lora_tui.worker.oom import Batch
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile

OUT_OF_MEMORY = "out of memory"  # where a run failed: who goes on with it begins with a smaller batch


def find_point(job: Train, folder: Path, log: journal.Journal) -> Point | None:
    """The checkpoint to go on from; None for a run that begins. Each newer one passed over is a warning that says why.

    Raises BadInput where it was made with other settings, and names them.
    """
    if ranks.here().first:
        checkpoints.discard_drafts(folder)
    point, passed = checkpoints.newest(folder)
    for item in [*passed, *_gone(folder, log, point)]:
        then = (
            f"Going on from that of step {point.step}." if point else "No other is there: starting from the beginning."
        )
        log.write(
            journal.Warned(
                message=f"{item.path.name} was passed over: {item.reason}",
                advice=then,
                code="checkpoint",
                step=point.step if point else 0,
            )
        )
    if point is None:
        return None
    changed = differences(point.manifest.settings, fingerprint(job, folder))
    if changed:
        raise BadInput(
            f"the run was changed since {point.path.name}: {'; '.join(changed)}",
            where=str(folder / "job.toml"),
            fix="Put it back as it was, or start a new run: lora-tui train.",
        )
    here = loading.versions()
    other = [
        f"{name} {old} is now {here.get(name, 'gone')}"
        for name, old in point.manifest.versions.items()
        if here.get(name) != old
    ]
    if other:
        log.write(
            journal.Warned(
                message=f"the engine is not the one of {point.path.name}: {', '.join(other)}",
                advice="The run goes on; its losses may differ a little from those of one engine throughout.",
                code="versions",
                step=point.step,
            )
        )
    return point


def _gone(folder: Path, log: journal.Journal, point: Point | None) -> list[checkpoints.PassedOver]:
    """The newest checkpoint that the journal knows, where it is newer than the one found and not there any more."""
    made = [event for event in journal.JournalReader(log.path).read() if isinstance(event, journal.Checkpoint)]
    if not made or (point is not None and made[-1].step <= point.step) or (folder / made[-1].path).exists():
        return []
    return [checkpoints.PassedOver(folder / made[-1].path, "it is gone")]


def planned_batch(profile: Profile) -> Batch:
    """How the profile cuts a step."""
    training = profile.training
    return Batch(rows=training.per_device_train_batch_size, accumulation=training.gradient_accumulation_steps)


def batch_in_force(profile: Profile, log: journal.Journal, planned: int) -> Batch:
    """How a step is cut now: as planned, or as the run's last word on being out of memory says.

    Where the process before this one ended of it, or was killed by the system, this is that word; `planned` are bytes.
    """
    batch, step, killed = planned_batch(profile), 0, False
    for event in journal.JournalReader(log.path).read():
        match event:
            case journal.OutOfMemory():
                batch = Batch(rows=event.per_device_train_batch_size, accumulation=event.gradient_accumulation_steps)
                killed = False
            case journal.Metrics():
                step = event.step
            case journal.Warned(code=code) if code == supervisor.KILLED_FOR_MEMORY:
                killed = True
            case journal.Failed(where=where) if where == OUT_OF_MEMORY:
                killed = True
    less = batch.smaller() if killed else None
    if less is None:
        return batch
    log.write(
        journal.OutOfMemory(
            step=step + 1,
            per_device_train_batch_size=less.rows,
            gradient_accumulation_steps=less.accumulation,
            planned=planned,
        )
    )
    return less
