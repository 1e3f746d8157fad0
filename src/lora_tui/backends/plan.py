"""The plan: what a run would do, before it does it. Counted by the engine with the base's own tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lora_tui.backends import advice, audits, bases, fit, measure, memory, pace, probe
from lora_tui.backends.advice import Advice
from lora_tui.backends.amount import amount_of
from lora_tui.backends.counting import Cancelled
from lora_tui.backends.fit import Change
from lora_tui.backends.hardware import machine
from lora_tui.backends.intact import check_intact
from lora_tui.backends.lacking import missing
from lora_tui.backends.needs import by_shape, inside, needed
from lora_tui.backends.pace import Pace, Price
from lora_tui.backends.place import Place, holding_of, place_of
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.audit import Audited, Finding
from lora_tui.jobs.measured import Measured
from lora_tui.jobs.probed import Probed
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, sanity

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
    memory_needed: int  # bytes: what a probed step reached, else the estimate
    device: str
    optim: str
    adapter_width: int  # bytes of an adapter's weight
    probed: Probed | None  # one real step with these settings, where it was taken
    pace: Pace | None  # None: unknown
    seconds: tuple[float, float] | None  # from the fastest to the slowest; None: unknown
    price: Price | None  # None: unknown
    fits: bool
    alone: tuple[Change, ...]  # where it does not fit: what each change does by itself
    fit: tuple[Change, ...]  # and those that would make it fit
    advice: tuple[Advice, ...]
    warnings: tuple[str, ...]


def plan(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    progress: Callable[[str], None] = lambda line: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    take_step: bool = False,
) -> Plan:
    """Audit, measure and estimate. Both are done once per dataset, base and settings, and remembered.

    take_step: take one real step on this machine first, unless one with these settings is remembered.

    Raises LoraTuiError when something in the profile cannot be together, the dataset is damaged, the base cannot be
    loaded or the engine is not installed, and Cancelled when `cancelled` says so.
    """

    def tell(stage: str, done: int, total: int) -> None:
        progress(f"{stage}: {done:,} of {total:,}" if total else stage)

    sanity.refuse(profile)
    check_intact(dataset)
    base = bases.resolve(workspace, profile)
    place = place_of(machine(workspace.root))
    try:
        audited = audits.ensure(workspace, dataset, base, profile, progress=tell, cancelled=cancelled)
    except Cancelled:
        raise
    except LoraTuiError as error:
        raise _with_estimate(error, profile, base, place) from error
    measured = measure.ensure(workspace, base, profile, progress=tell, cancelled=cancelled)
    found = probe.remembered(workspace, base, profile, dataset)
    if take_step:
        found = probe.take(workspace, base, profile, dataset, progress=tell, cancelled=cancelled)
    known = inside(base, profile, audited, measured)
    estimate = needed(profile, known, audited, place)
    amount = amount_of(profile, audited)
    going = pace.pace(workspace, base, profile, found)
    seconds = (amount.tokens / going.fast, amount.tokens / going.slow) if going else None
    total = found.peak if found else estimate.total

    def needs(other: Profile) -> int:
        return needed(other, known, audited, place).total + total - estimate.total

    fits = total <= place.available * fit.MARGIN
    facts = advice.facts_of(
        profile,
        audited,
        known.shape,
        measured.trainable,
        amount.steps,
        place,
        fast_bf16=place.bf16 and not place.gpu,
        gpu_bf16=place.bf16 and place.gpu,
    )
    return Plan(
        profile=profile.name,
        dataset=dataset.label,
        base=base,
        audited=audited,
        measured=measured,
        steps=amount.steps,
        findings=tuple(sorted(audited.findings, key=lambda item: _GRAVEST[item.severity])),
        memory=estimate,
        memory_available=place.available,
        memory_needed=total,
        device=place.name,
        optim=profile.training.optim,
        adapter_width=holding_of(profile, place).adapter_width,
        probed=found,
        pace=going,
        seconds=seconds,
        price=pace.price(seconds, load_config(workspace).cost),
        fits=fits,
        alone=() if fits else fit.alone(profile, audited, place.available, needs, gpu=place.gpu),
        fit=() if fits else fit.steps(profile, audited, place.available, needs, gpu=place.gpu),
        advice=advice.advise(facts),
        warnings=tuple(_warnings(profile, audited, amount.mixed, total, place)),
    )


def _with_estimate(error: LoraTuiError, profile: Profile, base: str, place: Place) -> LoraTuiError:
    """Why no row could be counted, with what the run would need all the same, where the base's shape is known."""
    made = by_shape(profile, base, place)
    if made is None:
        return error
    needs, free = (f"{number / memory.GIB:.1f} GiB" for number in (made.total, place.available))
    said = f"By its shape it would need about {needs} of the {free} free on {place.name}, for rows of max_length."
    return type(error)(error.what, where=error.where, fix=f"{error.fix} {said}".strip())


def _warnings(profile: Profile, audited: Audited, mixed: int, total: int, place: Place) -> list[str]:
    """What is to be known beside the audit's findings."""
    found = [lacking] if (lacking := missing(profile)) else []
    if profile.data.target and audited.train.rows < profile.data.target:
        found.append(f"{_rows(audited.train.rows)} to train on; the profile aims at {profile.data.target}")
    if mixed:
        found.append(f"replay mixes in up to {_rows(mixed)} more; steps and time are with them")
    if total > place.available:
        found.append("it needs more memory than is free")
    elif total > place.available * fit.MARGIN:
        found.append("it needs nearly all the memory that is free: an estimate is no promise")
    return found


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
