"""What runs of one's own say: how fast they went on which GPU, how long they took elsewhere, what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from lora_tui.backends.compare import gpus
from lora_tui.backends.deciding import alike
from lora_tui.backends.memory import GIB
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box, Together, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_RUNS = 200  # the newest that are looked at


class Past(msgspec.Struct, frozen=True):
    """One training run that was done elsewhere."""

    run: str
    where: str  # "together", "runpod", "vast", a host's name
    dataset_hash: str
    profile: Profile
    base: str
    ended: float  # epoch seconds of its last word
    gpu: str = ""  # as gpus.toml names it; empty: not known
    memory_gib: float = 0.0  # of that GPU, as its driver says; 0: not known
    tokens_per_second: float = 0.0  # that carry loss
    seconds: float = 0.0  # from its first start to its end; 0: it did not finish
    paid: float | None = None  # USD
    files: dict[str, str] = {}  # kind -> id: validated files that lie with Together

    def same_work(self, profile: Profile, dataset_hash: str) -> bool:
        """Whether it did what a run of `profile` on that dataset would do."""
        one, other = self.profile.training, profile.training
        return (
            self.dataset_hash == dataset_hash
            and self.profile.model.base == profile.model.base
            and (one.num_train_epochs, one.max_steps) == (other.num_train_epochs, other.max_steps)
        )


def past(workspace: Workspace) -> list[Past]:
    """The newest runs that were done elsewhere, the newest first."""
    found = []
    for run in supervisor.runs(workspace)[:_RUNS]:
        job = run.file.job
        if isinstance(job, Train) and job.elsewhere is not None:
            found.append(_read(run, job))
    return found


def paces(runs: Sequence[Past], base: str, profile: Profile, gpu: str) -> Iterator[tuple[float, str]]:
    """Loss-carrying tokens a second on one such GPU, each with the run it is of."""
    for run in runs:
        if run.gpu == gpu and run.tokens_per_second and run.base == base and alike(run.profile, profile):
            yield run.tokens_per_second, run.run


def _read(run: Run, job: Train) -> Past:
    from lora_tui.backends.together.recalled import recalled  # with it comes httpx, and few have such runs

    events = journal.JournalReader(run.journal).read()
    where = "together"
    if isinstance(job.elsewhere, Box):
        where = job.elsewhere.host if job.elsewhere.provider == "host" else job.elsewhere.provider
    steps = [item for item in events if isinstance(item, journal.Metrics) and item.tokens_per_second]
    spent = sum(item.step_seconds for item in steps)
    one = job.nproc == 1 and job.nnodes == 1
    worked = sum(item.tokens_per_second * item.step_seconds for item in steps)
    finished = [item for item in events if isinstance(item, journal.Finished)]
    return Past(
        run=run.id,
        where=where,
        dataset_hash=job.dataset_hash,
        profile=job.profile,
        base=job.base,
        ended=events[-1].time if events else run.file.created,
        gpu=_gpu(events),
        memory_gib=next((gpu.memory_total / GIB for gpu in _seen(events)), 0.0),
        tokens_per_second=worked / spent if spent and one else 0.0,
        seconds=finished[-1].time - events[0].time if finished else 0.0,
        paid=_paid(events),
        files=recalled(run.journal).files if isinstance(job.elsewhere, Together) else {},
    )


def _seen(events: Sequence[journal.AnyEvent]) -> Iterator[journal.Gpu]:
    for item in events:
        if isinstance(item, journal.Hardware):
            yield from item.gpus[:1]


def _gpu(events: Sequence[journal.AnyEvent]) -> str:
    names = [gpu.name for gpu in _seen(events)]
    names += [item.name for item in events if isinstance(item, journal.Hired)]
    kinds = (gpus.named(name) for name in names)
    return next((kind.name for kind in kinds if kind is not None), "")


def _paid(events: Sequence[journal.AnyEvent]) -> float | None:
    """What was really taken: of machines given back, and of charges that are no estimate."""
    taken = [item.cost for item in events if isinstance(item, journal.Released)]
    taken += [item.amount for item in events if isinstance(item, journal.Charged) and not item.estimated]
    return sum(taken) if taken else None
