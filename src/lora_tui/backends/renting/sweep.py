"""What was left rented: machines with our label that no living run holds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from lora_tui.backends.renting.dead_man import GRACE_HOURS
from lora_tui.backends.renting.giving_back import give_back
from lora_tui.backends.renting.hires import Hires, label_of
from lora_tui.backends.renting.provider import KEYS, NAMES, PREFIX, Machine, Provider, provider
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box, Train, load_job
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import has_key
from lora_tui.workspace.layout import Workspace

_ONCE = 1  # how often a provider is asked where nobody waits for the answer


class Rented(msgspec.Struct, frozen=True):
    """A machine of ours with what its run says about it."""

    machine: Machine
    run: str  # the id in its label
    known: bool  # whether the workspace has that run
    held: bool  # whether that run works
    seconds: float  # for which it costs already; 0 where nobody says since when
    cost: float  # USD so far

    @property
    def about(self) -> str:
        """Why it may be left over, in words; '' where its run works."""
        if self.held:
            return ""
        return "its run does not work" if self.known else "no run of this workspace: another computer's, or deleted"


def providers() -> list[Provider]:
    """Those there is a key for."""
    return [provider(name) for name in NAMES if has_key(KEYS[name])]


def rented(workspace: Workspace, sources: Sequence[Provider], clock: Callable[[], float] = time.time) -> list[Rented]:
    """Every machine that has our label, the oldest first. Raises LoraTuiError where a provider does not answer."""
    now = clock()
    found = [_rented(workspace, machine, now) for source in sources for machine in source.all()]
    return sorted(found, key=lambda one: (-one.seconds, one.machine.id))


def left_over(
    workspace: Workspace, sources: Sequence[Provider], clock: Callable[[], float] = time.time
) -> list[Rented]:
    """Those no living run holds."""
    return [one for one in rented(workspace, sources, clock) if not one.held]


def left_over_by_the_way(workspace: Workspace) -> list[Rented]:
    """What to tell a person at the start: asks only where a journal has a machine that was not given back.

    One question to a provider, once; where it is not answered, nothing is said.
    """
    names = [name for name in sorted(unsettled(workspace)) if has_key(KEYS[name])]
    found: list[Rented] = []
    for name in names:
        with contextlib.suppress(LoraTuiError):
            found += left_over(workspace, [provider(name, patience=_ONCE)])
    return found


def unsettled(workspace: Workspace) -> set[str]:
    """The providers that may have a machine of a run that does not work, as the journals tell."""
    return {name for run, name in _resting(workspace) if not _hires(run.journal).is_settled}


def end(
    workspace: Workspace,
    one: Rented,
    source: Provider,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Give the machine back and tell the journal of its run. Raises LoraTuiError.

    Where its run works, that process says itself what became of the machine; one that began to work since `one` was
    listed keeps it.
    """
    folder = workspace.runs / one.run
    if not one.held and one.known and supervisor.is_held(folder):
        raise LoraTuiError("its run works on it again", where=one.run, fix=f"Stop it: lora-tui runs stop {one.run}")
    give_back(source, one.machine.id, clock=clock, sleep=sleep)
    if one.known and not one.held:
        _book(folder / "journal.jsonl", one.machine, clock())


def _book(path: Path, machine: Machine, now: float) -> None:
    hires = _hires(path)
    log = journal.Journal(path)
    try:
        if machine.id not in hires.open:  # its id was never written
            hired = _hired(machine, now)
            log.write(hired)
            hires.fold(hired)
        seconds, cost = hires.spent(machine.id, machine.began, machine.price_per_hour, now)
        log.write(_released(machine.provider, machine.id, now, seconds, cost))
    finally:
        log.close()


def settle(workspace: Workspace, sources: Sequence[Provider], clock: Callable[[], float] = time.time) -> None:
    """Close the books of runs that do not work, where their machines are gone by themselves. Raises LoraTuiError."""
    there = {source.name: source.all() for source in sources}
    for run, name in _resting(workspace):
        if name in there:
            _settle_run(run, name, there[name], clock())


def _settle_run(run: Run, source: str, there: list[Machine], now: float) -> None:
    hires, living = _hires(run.journal), {machine.id for machine in there}
    gone = [hired for hired in hires.open.values() if hired.id not in living]
    nothing_came = hires.asked is not None and all(machine.label != label_of(run.id) for machine in there)
    if not gone and not nothing_came:
        return
    log = journal.Journal(run.journal)
    try:
        for hired in gone:  # its own switch ended it at the latest
            last = min(now, hired.time + (hired.max_hours + GRACE_HOURS) * 3600)
            seconds, cost = hires.spent(hired.id, 0.0, 0.0, last)
            log.write(_released(source, hired.id, now, seconds, cost))
        if nothing_came:
            log.write(_released(source, "", now))
    finally:
        log.close()


def _resting(workspace: Workspace) -> Iterator[tuple[Run, str]]:
    """Runs on machines of a provider, with its name, that do not work now. One that cannot be read is passed over."""
    for path in sorted(workspace.runs.glob("*/job.toml")):
        with contextlib.suppress(LoraTuiError, OSError):
            if b'backend = "box"' not in path.read_bytes():  # most runs are not: reading one through costs more
                continue
            run = Run(folder=path.parent, file=load_job(path))
            box = run.file.job.elsewhere if isinstance(run.file.job, Train) else None
            if isinstance(box, Box) and box.provider in NAMES and not supervisor.is_alive(run):
                yield run, box.provider


def _rented(workspace: Workspace, machine: Machine, now: float) -> Rented:
    run = machine.label.removeprefix(PREFIX)
    folder = workspace.runs / run
    known = bool(run) and "/" not in run and run not in (".", "..") and (folder / "job.toml").is_file()
    hires = _hires(folder / "journal.jsonl") if known else Hires()
    if machine.id not in hires.open:
        hires.fold(_hired(machine, now))
    seconds, cost = hires.spent(machine.id, machine.began, machine.price_per_hour, now)
    return Rented(machine, run, known, known and supervisor.is_held(folder), seconds, cost)


def _hires(path: Path) -> Hires:
    return Hires.of(journal.JournalReader(path).read())


def _hired(machine: Machine, now: float) -> journal.Hired:
    return journal.Hired(
        provider=machine.provider, id=machine.id, name=machine.name, price_per_hour=machine.price_per_hour, time=now
    )


def _released(source: str, identity: str, now: float, seconds: float = 0.0, cost: float = 0.0) -> journal.Released:
    return journal.Released(provider=source, id=identity, seconds=seconds, cost=cost, time=now)
