"""How fast a run would go: from this machine's own runs of the same base, else from a probed step, else unknown."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import msgspec

from lora_tui.backends.deciding import alike
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.probed import Probed
from lora_tui.jobs.view import RunView
from lora_tui.workspace.config import Cost
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_RUNS = 8  # of the newest alike that are looked at
_SPREAD = 0.25  # either way, of a single step


class Pace(msgspec.Struct, frozen=True):
    """Loss-carrying tokens a second, from the slowest to the fastest; where it is from, in words."""

    slow: float
    fast: float
    source: str


class Price(msgspec.Struct, frozen=True):
    """What a run costs, from the fastest to the slowest, and what for."""

    low: float
    high: float
    currency: str
    source: str


def pace(workspace: Workspace, base: str, profile: Profile, probed: Probed | None) -> Pace | None:
    """None when nothing is known."""
    paces = list(_past(workspace, base, profile))
    if paces:
        runs = "one run" if len(paces) == 1 else f"{len(paces)} runs"
        return Pace(min(paces), max(paces), f"{runs} of this base on this machine")
    if probed is not None and probed.tokens_per_second > 0:
        speed = probed.tokens_per_second
        return Pace(speed * (1 - _SPREAD), speed * (1 + _SPREAD), "one probed step")
    return None


def price(seconds: tuple[float, float] | None, cost: Cost) -> Price | None:
    """From the hours and what config.toml says an hour or a kilowatt-hour costs; None when either is unknown."""
    if seconds is None:
        return None
    hours = [item / 3600 for item in seconds]
    if cost.price_per_hour is not None:
        low, high = (item * cost.price_per_hour for item in hours)
        return Price(low, high, cost.currency, f"{cost.price_per_hour:g} an hour")
    if cost.price_per_kwh is not None and cost.watts is not None:
        low, high = (item * cost.watts / 1000 * cost.price_per_kwh for item in hours)
        return Price(low, high, cost.currency, f"{cost.watts:g} W at {cost.price_per_kwh:g} a kWh")
    return None


def _past(workspace: Workspace, base: str, profile: Profile) -> Iterator[float]:
    seen = 0
    here = socket.gethostname()
    for run in supervisor.runs(workspace):
        job = run.file.job
        if not isinstance(job, Train) or job.base != base or job.nproc != 1 or not alike(job.profile, profile):
            continue
        events = journal.JournalReader(run.journal).read()
        started = [event for event in events if isinstance(event, journal.Started)]
        steps = [item for item in RunView.of(run).metrics if item.tokens_per_second and item.step_seconds]
        if not started or started[-1].host != here or not steps:
            continue
        spent = sum(item.step_seconds for item in steps)
        yield sum(item.tokens_per_second * item.step_seconds for item in steps) / spent
        seen += 1
        if seen == _RUNS:
            return
