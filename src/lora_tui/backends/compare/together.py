"""What Together would take for a run, and for serving what comes of it.

Together: estimate-price; where no key or no validated file is, tokens times the price of the base's bracket:
`max(minimum, (train_tokens + eval_tokens) / 1e6 × price)` with train_tokens = epochs × tokens where rows are packed,
else epochs × rows × max_seq_length, and eval_tokens = n_evals × tokens of the validation file.
"""

from __future__ import annotations

import math

from lora_tui.backends.compare.figure import FORMULA, TABLE, Figure, sources, span, unknown
from lora_tui.backends.compare.prices import Together
from lora_tui.backends.compare.work import Work, amount
from lora_tui.workspace.profiles import Profile


def training(table: Together, work: Work, *, packing: bool = True, max_seq_length: int = 0, n_evals: int = 0) -> Figure:
    """USD for LoRA SFT of `work`, in whole epochs as Together counts them."""
    if not work.parameters:
        return unknown("USD", "the size of the base is not known before it was audited once")
    billions = work.parameters / 1e9
    bracket = table.bracket(billions)
    if bracket is None:
        return unknown("USD", f"no price is known for a base of {billions:.0f}B weights: add a row to prices.toml")
    epochs = epochs_of(work)
    if packing:
        low, high = work.train.low * epochs, work.train.high * epochs
        said = f"{epochs} epochs × those = {amount(low, high)} tokens"
    else:
        low = high = float(epochs * work.rows * max_seq_length)
        said = f"{epochs} epochs × {work.rows:,} rows × {max_seq_length:,} = {amount(low, high)} tokens"
    steps = [work.train.step, said]
    if n_evals:
        low, high = low + n_evals * work.validation.low, high + n_evals * work.validation.high
        steps += [work.validation.step, f"+ {n_evals} evaluations × those = {amount(low, high)} tokens"]
    first, last = (max(table.minimum, tokens / 1e6 * bracket.price) for tokens in (low, high))
    weights = amount(work.parameters, work.parameters)
    steps.append(
        f"{weights} weights, bracket up to {bracket.up_to:g}B: {bracket.price:.2f} USD a million {bracket.cited}"
    )
    least = f", at least {table.minimum:.2f}" if table.minimum else ""
    steps.append(f"tokens / 1e6 × {bracket.price:.2f}{least} = {span(first, last)} USD")
    return Figure(
        low=first, high=last, unit="USD", source=sources(FORMULA, TABLE), as_of=bracket.as_of, steps=tuple(steps)
    )


def wanted_evaluations(profile: Profile, work: Work) -> int:
    """As a run there asks: one an epoch, and enough for early stopping; none without validation rows."""
    patience = profile.training.early_stopping_patience
    return max(epochs_of(work), patience + 2 if patience else 1) if work.validation_rows else 0


def epochs_of(work: Work) -> int:
    """n_epochs is a whole number there."""
    return max(1, math.ceil(work.passes - 1e-9))


def serving(table: Together, work: Work) -> tuple[Figure, str]:
    """USD an hour of a dedicated endpoint that holds the base in bf16, and its GPU in words."""
    if not work.parameters:
        return unknown("USD/h", "the size of the base is not known before it was audited once"), ""
    needed = work.parameters * 2 / 1e9 / 0.8  # a fifth of the memory for the cache
    found = [(math.ceil(needed / row.memory_gb), row) for row in table.endpoint]
    if not found:
        return unknown("USD/h", "prices.toml has no row for an endpoint"), ""
    count, row = min(found, key=lambda item: item[0] * item[1].price)
    price = count * row.price
    said = f"{count} × {row.gpu} at {row.price:.2f} USD an hour = {price:.2f} USD/h while it is up {row.cited}"
    figure = Figure(low=price, high=price, unit="USD/h", source=TABLE, as_of=row.as_of, steps=(said,))
    return figure, f"{count}× {row.gpu}"
