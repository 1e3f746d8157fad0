"""Training on somebody else's machine, or on another of one's own."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lora_tui.backends.compare import gpus, offers, rental, together, together_live
from lora_tui.backends.compare.figure import CONFIG, LIVE, Figure, span, times, unknown
from lora_tui.backends.compare.gpus import Gpu
from lora_tui.backends.compare.offers import Priced
from lora_tui.backends.compare.past import Past
from lora_tui.backends.compare.prices import Prices
from lora_tui.backends.compare.together_live import Said
from lora_tui.backends.compare.way import Kind, Way
from lora_tui.backends.compare.work import Work, amount
from lora_tui.workspace.config import Host
from lora_tui.workspace.keys import has_key
from lora_tui.workspace.profiles import Profile

_TITLES = {"runpod": "RunPod", "vast": "Vast"}
_DATA = {
    "runpod": "to the rented machine: a data centre (secure cloud) or somebody's own (community cloud)",
    "vast": "to the rented machine, which is its owner's: anybody can rent theirs out there",
}
_SERVED = 1.25  # memory of a served model: its weights in bf16 and a quarter of them for the cache


class Asked(msgspec.Struct, frozen=True):
    """What all ways share."""

    profile: Profile
    dataset_hash: str
    work: Work
    table: Prices
    runs: Sequence[Past]
    use: float  # hours a month
    live: bool


def rented(asked: Asked, provider: str) -> Way:
    """A GPU of RunPod or Vast: of the kinds that it has the one on which the run costs least."""
    table, work, profile = asked.table, asked.work, asked.profile
    key = f"{provider.upper()}_API_KEY"
    has = has_key(key)
    least = rental.memory_gb(profile, work)
    found, why_not = offers.offered(table, provider, ask=asked.live and has, memory_gb=least)
    kinds = sorted((_kind(asked, provider, item) for item in found), key=lambda kind: kind.cost.middle)
    fitting = [kind for kind in kinds if kind.fits is not False]
    largest = sorted(kinds, key=lambda kind: kind.memory_gib, reverse=True)
    best = (fitting or largest or [_no_kind(provider)])[0]
    serving, on = _serving(work, found)
    return Way(
        name=provider,
        backend=provider,
        engine=profile.training.engine,
        fits=best.fits,
        why=best.why,
        gpu=best.gpu if best.gpus == 1 else f"{best.gpus}× {best.gpu}",
        seconds=best.seconds,
        cost=best.cost,
        serving=serving,
        serving_on=on,
        monthly=_monthly(serving, asked.use),
        setup=(*_lacks("asyncssh", "rent"), *([] if has else [f"a key of {_TITLES[provider]}: export {key}=…"])),
        latency="the internet to the rented machine, while it is rented",
        latency_source="not measured",
        data=_DATA[provider],
        kinds=tuple(kinds),
        memory_gb=least,
        paid=_paid(asked, provider),
        notes=(why_not,) if why_not else (),
    )


def together_ai(asked: Asked) -> Way:
    """Together AI's own engine."""
    table, work, profile = asked.table.together, asked.work, asked.profile
    has = has_key("TOGETHER_API_KEY")
    said = Said(None, "whether it has this base, and allows the settings, it says when asked with a key")
    if asked.live and has:
        said = together_live.ask(profile, work, asked.runs, asked.dataset_hash)
    cost = said.cost or _reckoned(asked, packing=profile.training.packing)
    notes = [said.note] if said.note else []
    if not profile.training.packing and said.cost is None and cost.known:
        packed = _reckoned(asked, packing=True)
        amount = span(packed.low or 0.0, packed.high or 0.0)
        notes.append(f"each row is paid up to max_length; training.packing = true would make it {amount} USD")
    serving, on = together.serving(table, work)
    last = _last(asked, "together")
    seconds = unknown("s", "Together does not say before it starts, and no run of this work was done there yet")
    if last is not None and last.seconds:
        seconds = Figure(
            low=last.seconds, high=last.seconds, unit="s", source=f"your past run {last.run}", as_of=_day(last.ended)
        )
    return Way(
        name="together",
        backend="together",
        engine="Together's own",
        fits=said.fits,
        why=said.why,
        gpu="Together's",
        seconds=seconds,
        cost=cost,
        serving=serving,
        serving_on=on,
        monthly=_monthly(serving, asked.use),
        setup=(*_lacks("together", "together"), *([] if has else ["a key of Together: export TOGETHER_API_KEY=…"])),
        latency="the internet to Together; a dedicated endpoint takes up to 20 minutes to come up",
        latency_source="Together's documentation, 2026-08",
        data="training and validation file, and the adapter, to Together AI",
        paid=_paid(asked, "together"),
        notes=tuple(notes),
    )


def _reckoned(asked: Asked, *, packing: bool) -> Figure:
    return together.training(
        asked.table.together,
        asked.work,
        packing=packing,
        max_seq_length=asked.profile.training.max_length,
        n_evals=together.wanted_evaluations(asked.profile, asked.work),
    )


def hosts(asked: Asked, known: Mapping[str, Host]) -> Iterator[Way]:
    """Every host of config.toml."""
    for name, host in known.items():
        yield _host(asked, name, host)


def _host(asked: Asked, name: str, host: Host) -> Way:
    work, profile = asked.work, asked.profile
    rate, count = host.price_per_hour, max(1, host.gpus)
    hour = unknown("USD/h", f"price_per_hour of [hosts.{name}] in config.toml")
    if rate:
        said = f"{rate:g} USD an hour"
        hour = Figure(low=rate, high=rate, unit="USD/h", source=CONFIG, steps=(said,))
    seen = next((run for run in asked.runs if run.where == name and run.gpu), None)
    fits, seconds, gpu = rental.Fits(None, f"which GPU it has is not known: lora-tui hosts check {name}"), None, "?"
    kind = _gpu(seen)
    if kind is not None:
        gpu = kind.name if count == 1 else f"{count}× {kind.name}"
        there = gpus.place(kind, seen.memory_gib if seen else 0.0, count)
        fits = rental.fits(profile, work, there, (count,) if profile.training.parallel == "fsdp2" else None)
        setup = (0.0, asked.table.formula.setup_hours[1])  # the environment may be there
        seconds = rental.seconds(work, profile, kind, asked.table.formula, asked.runs, count=count, setup=setup)
    time_there = seconds or unknown("s", "no run was done there yet")
    return Way(
        name=name,
        backend=name,
        engine=profile.training.engine,
        fits=fits.fits,
        why=fits.why,
        gpu=gpu,
        seconds=time_there,
        cost=rental.cost(time_there, hour, None, asked.table.formula),
        serving=hour,
        serving_on=gpu,
        monthly=_monthly(hour, asked.use),
        setup=_lacks("asyncssh", "rent"),
        latency="your own network to it",
        latency_source="not measured",
        data="to your own host, by SSH",
        paid=_paid(asked, name),
    )


def _kind(asked: Asked, provider: str, item: Priced) -> Kind:
    work, profile, formula = asked.work, asked.profile, asked.table.formula
    held = rental.fits(profile, work, rental.place(item.gpu))
    seconds = rental.seconds(work, profile, item.gpu, formula, asked.runs, count=held.gpus, setup=formula.setup_hours)
    adapter = work.known.trainable * 4 / 1e9 if work.known else 0.0
    beside = None if item.price.source == LIVE else asked.table.beside_of(provider)
    cost = rental.cost(seconds, item.price, beside, formula, count=held.gpus, adapter_gb=adapter)
    size = item.gpu.memory_gib
    return Kind(item.gpu.name, held.gpus, held.fits, held.why, seconds, cost, item.price, item.offers, size)


def _no_kind(provider: str) -> Kind:
    why = f"no price of {_TITLES[provider]} is known: set its key, or add rows to prices.toml"
    return Kind("?", 1, None, why, unknown("s", why), unknown("USD", why), unknown("USD/h", why))


def _serving(work: Work, found: Sequence[Priced]) -> tuple[Figure, str]:
    """The cheapest GPU that holds the model, and its name."""
    needed = work.parameters * 2 * _SERVED / 1024**3
    enough = [item for item in found if work.parameters and item.gpu.memory_gib >= needed]
    if not enough:
        why = "no price is known of one GPU that holds it" if work.parameters else "the size of the base is not known"
        return unknown("USD/h", why), ""
    best = min(enough, key=lambda item: item.price.middle)
    weights = amount(work.parameters, work.parameters)
    said = f"{weights} weights in bf16 with a cache need {needed:.1f} GiB: one {best.gpu.name}"
    return msgspec.structs.replace(best.price, steps=(said, *best.price.steps)), best.gpu.name


def _monthly(hour: Figure, use: float) -> Figure:
    return times(hour, use, "USD/month", f"{use:.0f} h a month × that")


def _lacks(package: str, extra: str) -> tuple[str, ...]:
    there = importlib.util.find_spec(package) is not None
    return () if there else (f"pip install 'lora-tui[{extra}]'",)


def _last(asked: Asked, where: str) -> Past | None:
    return next(
        (run for run in asked.runs if run.where == where and run.same_work(asked.profile, asked.dataset_hash)), None
    )


def _paid(asked: Asked, where: str) -> Figure | None:
    last = _last(asked, where)
    if last is None or last.paid is None:
        return None
    return Figure(low=last.paid, high=last.paid, unit="USD", source=f"your past run {last.run}", as_of=_day(last.ended))


def _gpu(seen: Past | None) -> Gpu | None:
    return gpus.named(seen.gpu) if seen is not None else None


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
