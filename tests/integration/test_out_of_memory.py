"""Out of memory while training: explained, and gone on from with a smaller batch, without a step lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.profiles import Profile
from train_here import train_here

pytestmark = pytest.mark.engine

GIB = 1 << 30


def with_training(profile: Profile, **changes: Any) -> Profile:
    """`profile` without dropout (whose draws depend on how a step is cut), and with these changes."""
    return msgspec.structs.replace(
        profile,
        lora=msgspec.structs.replace(profile.lora, lora_dropout=0.0),
        training=msgspec.structs.replace(profile.training, **changes),
    )


@contextmanager
def memory_for(tokens: int, after: int = 0, training: bool = True) -> Iterator[None]:
    """An allocator with room for so many tokens of a micro-batch, padding counted, once `after` of them were made."""
    import torch

    embed = torch.nn.Embedding.forward
    made = 0

    def forward(self: Any, input: Any) -> Any:
        nonlocal made
        if torch.is_grad_enabled() == training:
            made += 1
            if made > after and input.numel() > tokens:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {input.numel()} (fake)")
        return embed(self, input)

    torch.nn.Embedding.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Embedding.forward = embed  # type: ignore[method-assign]


def losses(view: RunView) -> list[float]:
    """By step."""
    return [event.loss for event in view.metrics]


@pytest.fixture(scope="module")
def one_batch(small_profile: Profile) -> Profile:
    """Two epochs of five steps, of four rows at a time."""
    return with_training(
        small_profile, per_device_train_batch_size=4, gradient_accumulation_steps=1, num_train_epochs=2
    )


@pytest.fixture
def enough(new_run: Callable[..., Run], one_batch: Profile) -> RunView:
    """The run with enough memory."""
    view = train_here(new_run(profile=one_batch))
    assert view.state == "finished", view.failure
    return view


def test_a_step_that_does_not_fit_is_made_again_with_half_the_batch_and_the_losses_stay_the_same(
    new_run: Callable[..., Run], one_batch: Profile, enough: RunView
) -> None:
    assert len(enough.metrics) == 10
    run = new_run(profile=one_batch, planned_bytes=3 * GIB)
    with memory_for(tokens=320, after=6):  # two long rows, from the seventh step on
        view = train_here(run)
    assert view.state == "finished", view.failure
    assert [event.step for event in view.metrics] == list(range(1, 11))
    assert losses(view) == pytest.approx(losses(enough), rel=2e-3)
    assert view.metrics[-1].tokens == enough.metrics[-1].tokens

    first = view.out_of_memory[0]
    assert (first.step, first.per_device_train_batch_size, first.gradient_accumulation_steps) == (7, 2, 2)
    assert (first.planned, first.retry) == (3 * GIB, 1)
    assert first.reached > 0
    assert first.longest > 15
    assert len(first.rows) == 4
    assert all(name.startswith("row-") for name in first.rows)
    starts = [event for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Started)]
    assert starts[1].resumed_from == 6, "the step before, though no checkpoint had been due there"
