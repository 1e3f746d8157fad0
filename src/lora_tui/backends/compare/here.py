"""Training on this machine, with each engine that is here."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from lora_tui.backends import engines, fit, pace, probe
from lora_tui.backends.compare import gpus, rental
from lora_tui.backends.compare.figure import CONFIG, FORMULA, Figure, span, times, unknown
from lora_tui.backends.compare.prices import Formula
from lora_tui.backends.compare.way import Way
from lora_tui.backends.compare.work import Work
from lora_tui.backends.engines import Engine
from lora_tui.backends.hardware import machine
from lora_tui.backends.lacking import missing
from lora_tui.backends.memory import GIB
from lora_tui.backends.place import Place, place_of
from lora_tui.dataset.model import Dataset
from lora_tui.workspace.config import Cost, load_config
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_ENGINE = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
_NO_STEP = "take one real step: lora-tui plan {profile} --dataset {dataset} --probe"
_NO_PRICE = "[cost] in config.toml takes price_per_hour, or price_per_kwh and watts"


def ways(
    workspace: Workspace, profile: Profile, dataset: Dataset, work: Work, formula: Formula, use: float
) -> Iterator[Way]:
    """TRL, and Unsloth where its environment is; `use`: hours a month that the result is served."""
    place = place_of(machine(workspace.root))
    cost = load_config(workspace).cost
    for name, lacks in _engines(workspace):
        training = msgspec.structs.replace(profile.training, engine=name)
        one = msgspec.structs.replace(profile, training=training)
        yield _way(workspace, one, dataset, work, formula, place, cost, use, lacks)


def _engines(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """The engines and what each lacks; Unsloth only where somebody set it up."""
    import importlib.util

    gone = [name for name in _ENGINE if importlib.util.find_spec(name) is None]
    yield "trl", f"pip install 'lora-tui[train]' ({', '.join(gone)} missing)" if gone else ""
    found: Engine = engines.unsloth(workspace)
    if found.python:
        yield "unsloth", f"{found.lacks}. {found.fix}".strip() if found.lacks else ""


def _way(
    workspace: Workspace,
    profile: Profile,
    dataset: Dataset,
    work: Work,
    formula: Formula,
    place: Place,
    rates: Cost,
    use: float,
    lacks: str,
) -> Way:
    engine = profile.training.engine
    probed = probe.remembered(workspace, work.base, profile, dataset)
    held = rental.fits(profile, work, place)
    if probed is not None:
        enough = probed.peak <= place.available * fit.MARGIN
        said = f"took {probed.peak / GIB:.1f} of {place.available / GIB:.0f} GiB free in one real step"
        held = rental.Fits(enough, said)
    going = pace.pace(workspace, work.base, profile, probed)
    kind = gpus.named(place.name) if place.gpu else None
    if going is not None and work.loss_tokens:
        low, high = work.loss_tokens / going.fast, work.loss_tokens / going.slow
        step = (
            f"{work.loss_tokens:,.0f} tokens that carry loss / {span(going.slow, going.fast, 0)} a second"
            f" ({going.source}) = {span(low / 3600, high / 3600)} h"
        )
        time = Figure(low=low, high=high, unit="s", source=going.source, steps=(step,))
    elif kind is not None:
        time = rental.seconds(work, profile, kind, formula, (), setup=(0.0, 0.0))
    else:
        time = unknown("s", _NO_STEP.format(profile=profile.name, dataset=dataset.label))
    hour = _hour(rates)
    lacking = missing(profile)
    return Way(
        name="local" if engine == "trl" else f"local, {engine}",
        backend="local",
        engine=engine,
        fits=held.fits,
        why=held.why,
        gpu=place.name,
        seconds=time,
        cost=_cost(time, hour),
        serving=hour,
        serving_on=place.name,
        monthly=times(hour, use, f"{rates.currency or 'USD'}/month", f"{use:.0f} h a month × that"),
        setup=tuple(item for item in (lacks, lacking) if item),
        latency="no network: only the model's own time",
        latency_source="where it runs",
        data="stays on this machine",
    )


def _hour(rates: Cost) -> Figure:
    unit = f"{rates.currency or 'USD'}/h"
    if rates.price_per_hour is not None:
        price, said = rates.price_per_hour, f"{rates.price_per_hour:g} an hour"
    elif rates.price_per_kwh is not None and rates.watts is not None:
        price = rates.watts / 1000 * rates.price_per_kwh
        said = f"{rates.watts:g} W at {rates.price_per_kwh:g} a kWh = {price:.3f} an hour"
    else:
        return unknown(unit, _NO_PRICE)
    return Figure(low=price, high=price, unit=unit, source=CONFIG, steps=(said,))


def _cost(time: Figure, hour: Figure) -> Figure:
    unit = hour.unit.removesuffix("/h")
    if hour.low is None:
        return unknown(unit, hour.why)
    if time.low is None or time.high is None:
        return unknown(unit, time.why)
    low, high = (part / 3600 * hour.low for part in (time.low, time.high))
    said = f"{span(time.low / 3600, time.high / 3600)} h × {hour.low:.3g} {hour.unit} = {span(low, high)} {unit}"
    source = " + ".join(dict.fromkeys((time.source or FORMULA, CONFIG)))
    return Figure(low=low, high=high, unit=unit, source=source, steps=(*time.steps, *hour.steps, said))
