"""Time and money on a GPU that is rented or one's own: setting it up, then the tokens at its speed.

hours = setup + tokens / (peak × GPUs × MFU / (k × active weights)) / 3600, with k = 6 where activations are computed
again in the backward pass, else 4: a forward pass takes 2 operations a weight and token, its gradient for a frozen
base 2 more. Measured tokens a second of past runs take the place of the peak.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.backends import fit
from lora_tui.backends.compare import gpus
from lora_tui.backends.compare.figure import FORMULA, Figure, sources, span, unknown
from lora_tui.backends.compare.gpus import Gpu
from lora_tui.backends.compare.past import Past, paces
from lora_tui.backends.compare.prices import Beside, Formula, Range
from lora_tui.backends.compare.work import Work, amount
from lora_tui.backends.memory import GIB
from lora_tui.backends.needs import by_shape, needed
from lora_tui.backends.place import Place
from lora_tui.workspace.profiles import Profile

_MONTH = 730  # hours
_COUNTS = (1, 2, 4, 8)


class Fits(msgspec.Struct, frozen=True):
    """Whether a run fits a place; None: it cannot be said. `gpus`: on so many together; `needed`: bytes of each."""

    fits: bool | None
    why: str
    gpus: int = 1
    needed: int = 0


def fits(profile: Profile, work: Work, place: Place, counts: Sequence[int] | None = None) -> Fits:
    """One GPU, or as many as it takes where the profile shards the base over them; or the first of `counts`."""
    counts = counts or (_COUNTS if profile.training.parallel == "fsdp2" else _COUNTS[:1])
    tried, total = "", 0
    for count in counts:
        if work.known is not None and work.audited is not None:
            estimate = needed(profile, work.known, work.audited, place, count)
        elif count == 1 and (made := by_shape(profile, work.base, place)) is not None:
            estimate = made
        else:
            return Fits(None, tried or "the shape of the base is not known before it was audited once")
        total = estimate.total
        each = " each" if count > 1 else ""
        tried = f"needs about {total / GIB:.1f} of {place.available / GIB:.0f} GiB{each}"
        if total <= place.available * fit.MARGIN:
            return Fits(True, tried, count, total)
    return Fits(False, tried, needed=total)


def memory_gb(profile: Profile, work: Work, counts: Sequence[int] | None = None) -> float:
    """GiB that a GPU must have for the run, which providers call GB; 0 where it cannot be said."""
    roomy = max(gpus.known(), key=lambda gpu: gpu.memory_gib)
    held = fits(profile, work, place(roomy), counts)
    return held.needed / fit.MARGIN / GIB if held.fits is not None else 0.0


def seconds(
    work: Work, profile: Profile, gpu: Gpu, formula: Formula, runs: Sequence[Past], *, count: int = 1, setup: Range
) -> Figure:
    """How long it takes on `count` such GPUs, from the setting up to the last step."""
    before = f"setting up: {span(*setup)} h"
    measured = list(paces(runs, work.base, profile, gpu.name)) if work.loss_tokens and count == 1 else []
    if measured and work.loss_tokens:
        slow, fast = min(measured), max(measured)
        low, high = (work.loss_tokens / pace for pace in (fast[0], slow[0]))
        names = ", ".join(dict.fromkeys((fast[1], slow[1])))
        speeds = span(slow[0], fast[0], 0)
        steps: tuple[str, ...] = (
            f"{work.loss_tokens:,.0f} tokens that carry loss / {speeds} a second (run {names})"
            f" = {span(low / 3600, high / 3600)} h",
        )
        source = f"your past run {names}"
    elif work.active:
        k = 6 if profile.training.gradient_checkpointing else 4
        slow_speed, fast_speed = (
            gpu.tflops * 1e12 * count * mfu / (k * work.active) for mfu in (formula.mfu[0], formula.mfu[1])
        )
        fewest, most = work.tokens
        low, high = fewest / fast_speed, most / slow_speed
        weights = amount(work.active, work.active)
        steps = (
            *work.steps,
            f"{gpu.tflops:g}e12 × {count} GPU × {span(*formula.mfu)} MFU / ({k} × {weights} weights)"
            f" = {span(slow_speed, fast_speed, 0)} tokens/s",
            f"tokens / tokens/s = {span(low / 3600, high / 3600)} h",
        )
        source = FORMULA
    else:
        return unknown("s", "the size of the base is not known before it was audited once")
    low, high = low + setup[0] * 3600, high + setup[1] * 3600
    said = (*steps, before, f"together {span(low / 3600, high / 3600)} h")
    return Figure(low=low, high=high, unit="s", source=source, as_of=formula.as_of, steps=said)


def cost(
    time: Figure, price: Figure, beside: Beside | None, formula: Formula, *, count: int = 1, adapter_gb: float = 0.0
) -> Figure:
    """USD: hours × price of a GPU × GPUs, the disk meanwhile, and the adapter's way back."""
    if time.low is None or time.high is None:
        return unknown("USD", time.why)
    if price.low is None or price.high is None:
        return unknown("USD", price.why)
    hours = (time.low / 3600, time.high / 3600)
    low, high = hours[0] * price.low * count, hours[1] * price.high * count
    steps = [
        *time.steps,
        *price.steps,
        f"{span(*hours)} h × {count} × {span(price.low, price.high)} USD/h = {span(low, high)} USD",
    ]
    if beside is not None and (beside.disk_gb_month or beside.egress_gb):
        disk = [formula.disk_gb * part * beside.disk_gb_month / _MONTH for part in hours]
        out = adapter_gb * beside.egress_gb
        low, high = low + disk[0] + out, high + disk[1] + out
        rate = f"{beside.disk_gb_month:.2f} / {_MONTH}"
        steps.append(f"+ {formula.disk_gb} GB disk × hours × {rate} = {span(disk[0], disk[1], 3)} USD")
        if out:
            steps.append(f"+ {adapter_gb:.2f} GB back × {beside.egress_gb:.3f} = {out:.3f} USD")
    return Figure(
        low=low,
        high=high,
        unit="USD",
        source=sources(time.source, price.source),
        as_of=price.as_of or time.as_of,
        steps=tuple(steps),
    )


def place(gpu: Gpu, count: int = 1) -> Place:
    """Where it would work."""
    return gpus.place(gpu, gpus=count)
