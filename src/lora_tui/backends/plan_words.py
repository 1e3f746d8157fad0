"""A plan in words: the lines that the command line and the Train screen both show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from lora_tui.backends.optimizers import state_bytes
from lora_tui.backends.plan import Plan
from lora_tui.jobs.audit import Counted

Tone = Literal["", "good", "warn", "bad", "muted", "strong"]

_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


class Said(msgspec.Struct, frozen=True):
    """One line: what it is about (empty: more of the line before), and what is said."""

    name: str
    text: str
    tone: Tone = ""


def size(number: float) -> str:
    """Bytes as people say them: 1.2 GiB, 340 MiB."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:.1f} {name}" if number < 100 * unit else f"{number / unit:,.0f} {name}"
    return f"{number:.0f} B"


def hours(seconds: float) -> str:
    """Seconds of an estimate, no finer than it is: 42 s, 3 min 10 s, 27 min, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole >= 10 or not seconds else f"{seconds:.1f} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counts(plan: Plan) -> Iterator[Said]:
    """What would be trained on, and how much of the base."""
    found, train, sizes = plan.audited, plan.audited.train, plan.measured
    validation = found.splits.get("validation", Counted())
    share = train.loss_tokens / train.tokens if train.tokens else 0.0
    trained = sizes.trainable / sizes.parameters if sizes.parameters else 0.0
    left_out = f"{found.number_left_out:,} left out"
    yield Said("rows", f"{train.rows:,} to train on, {validation.rows:,} to validate, {left_out}")
    yield Said("tokens", f"{train.tokens:,}, of which {train.loss_tokens:,} ({share:.0%}) carry loss")
    yield Said("longest", f"{found.longest:,} tokens; max_length {found.max_length:,}")
    yield Said("steps", f"{plan.steps:,}")
    yield Said("parameters", f"{sizes.trainable:,} trained of {sizes.parameters:,} ({trained:.2%})")


def memory(plan: Plan) -> Iterator[Said]:
    """The whole, its parts, and what a real step reached."""
    tone: Tone = "bad" if plan.memory_needed > plan.memory_available else "good" if plan.fits else "warn"
    word = "measured" if plan.probed else "about"
    yield Said(
        "memory",
        f"{word} {size(plan.memory_needed)} of {size(plan.memory_available)} free on {plan.device}",
        tone,
    )
    yield Said("", parts(plan), "muted")
    if plan.probed:
        one = plan.probed
        estimate = f"estimated {size(plan.memory.total)} ({plan.memory.total / one.peak - 1:+.0%})"
        yield Said("one step", f"took {size(one.peak)} and {hours(one.seconds)}; {estimate}")


def parts(plan: Plan) -> str:
    """What the memory is for, the largest first; small parts are left out."""
    made = plan.memory
    later = "logits" if made.logits > made.layer else "one layer"
    working = max(made.logits, made.layer)
    named = {
        "weights": made.weights,
        "adapters": made.adapters,
        "gradients": made.gradients,
        "optimizer": made.optimizer,
        "activations": made.activations,
        later: working,
        "libraries": made.runtime,
        "fragmentation": made.slack,
    }
    if made.evaluation > made.activations + working:
        del named["activations"], named[later]
        named["evaluation"] = made.evaluation
    shown = sorted(named.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {size(number)}" for name, number in shown if number >= 1024**2)


def time_and_price(plan: Plan, step: str) -> Iterator[Said]:
    """How long and how dear, as ranges; what is not known says how to know it. `step`: what takes a real step."""
    if plan.seconds is None or plan.pace is None:
        yield Said("time", f"not known before the first run, or one real step: {step}")
    else:
        fast, slow = (hours(item) for item in plan.seconds)
        paces = f"{plan.pace.slow:,.0f}" if plan.pace.slow == plan.pace.fast else _range(plan)
        between = fast if fast == slow else f"{fast} to {slow}"
        yield Said("time", f"about {between}, at {paces} tokens/s ({plan.pace.source})")
    if plan.price is not None:
        low, high = f"{plan.price.low:.2f}", f"{plan.price.high:.2f}"
        between = low if low == high else f"{low} to {high}"
        yield Said("cost", f"{between} {plan.price.currency}".strip() + f" ({plan.price.source})")
    elif plan.seconds is None:
        yield Said("cost", "unknown, as the time is", "muted")
    else:
        keys = "price_per_hour, or price_per_kwh and watts"
        yield Said("cost", f"unknown; [cost] in config.toml takes {keys}", "muted")


def _range(plan: Plan) -> str:
    assert plan.pace is not None
    return f"{plan.pace.slow:,.0f} to {plan.pace.fast:,.0f}"


def notes(plan: Plan) -> Iterator[Said]:
    """Warnings that are no finding of the audit."""
    for warning in plan.warnings:
        yield Said("note", warning, "warn")


def fitting(plan: Plan) -> Iterator[Said]:
    """What would make it fit: each change by itself, in order, then those to take."""
    if plan.fits:
        return
    for number, change in enumerate(plan.alone):
        word = "fits" if change.fits else "not enough"
        said = f"{' '.join(change.settings)}: {size(change.needed)}, {word}; {change.costs}"
        yield Said("" if number else "to fit", said, "good" if change.fits else "muted")
    if plan.fit and plan.fit[-1].fits:
        yield Said("", f"--fit takes {', then '.join(change.what for change in plan.fit)}", "strong")
    else:
        yield Said("", "nothing here makes it fit: a smaller base, or a larger machine", "bad")


def advice(plan: Plan) -> Iterator[Said]:
    """Each rule that speaks, with its reason and source."""
    for item in plan.advice:
        yield Said("advice", item.text)
        tried = f" --set {' --set '.join(item.settings)}" if item.settings else ""
        yield Said("", f"{item.reason} [{item.source}]{tried}", "muted")


def trained(plan: Plan) -> list[tuple[str, int, str, str]]:
    """What will be trained: (module, how many, parameters, bytes with gradients and optimizer), the largest first."""
    each = 2 * plan.adapter_width + state_bytes(plan.optim, plan.adapter_width)
    found = []
    for item in sorted(plan.measured.modules, key=lambda item: -item.parameters):
        kind = " (routed experts)" if item.routed else " (whole)" if item.whole else ""
        found.append((f"{item.name}{kind}", item.count, f"{item.parameters:,}", size(item.parameters * each)))
    return found
