"""Out of memory while training: explained, and gone on from with a smaller batch, without a step lost."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
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


@pytest.fixture(scope="module")
def enough(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, small_dataset: Path, one_batch: Profile
) -> RunView:
    """The run with enough memory."""
    workspace = Workspace(tmp_path_factory.mktemp("enough"))
    job = Train(profile=one_batch, base=str(tiny_base), dataset=str(small_dataset))
    view = train_here(supervisor.create(workspace, job, "enough"))
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


def test_it_is_halved_as_often_as_it_takes_and_odd_batches_keep_their_whole(
    new_run: Callable[..., Run], small_profile: Profile
) -> None:
    profile = with_training(
        small_profile, per_device_train_batch_size=5, gradient_accumulation_steps=2, num_train_epochs=1
    )
    with memory_for(tokens=150):  # one long row, from the first step on
        view = train_here(new_run(profile=profile))
    assert view.state == "finished", view.failure
    cuts = [(item.per_device_train_batch_size, item.gradient_accumulation_steps) for item in view.out_of_memory]
    assert cuts == [(2, 5), (1, 10)]
    assert [item.retry for item in view.out_of_memory] == [1, 2]
    assert [event.step for event in view.metrics] == [1, 2]


def test_what_does_not_fit_by_itself_fails_and_says_what_would_help(
    new_run: Callable[..., Run], one_batch: Profile
) -> None:
    run = new_run(profile=one_batch, planned_bytes=3 * GIB)
    with memory_for(tokens=50):
        view = train_here(run)
    assert view.state == "failed"
    assert [item.per_device_train_batch_size for item in view.out_of_memory] == [2, 1]
    for words in ("with one row at a time", "3.0 GiB planned", "GiB reached", "row-", "max_length", "gradient_check"):
        assert words in view.failure
    assert not (run.folder / "adapter").exists()


def test_as_many_smaller_batches_are_tried_as_the_profile_allows(
    new_run: Callable[..., Run], one_batch: Profile
) -> None:
    profile = with_training(one_batch, oom_retries=1)
    with memory_for(tokens=150):
        view = train_here(new_run(profile=profile))
    assert view.state == "failed"
    assert [item.per_device_train_batch_size for item in view.out_of_memory] == [2]
    assert "after 1 smaller batch" in view.failure
    assert "per_device_train_batch_size = 1 with gradient_accumulation_steps = 4" in view.failure


def test_a_run_that_goes_on_keeps_the_batch_that_fitted(new_run: Callable[..., Run], one_batch: Profile) -> None:
    run = new_run(profile=one_batch)
    with memory_for(tokens=320, after=3):
        (run.folder / "stop").touch()  # is there before the first step
        assert train_here(run).state == "stopped"
        (run.folder / "stop").unlink()
        assert train_here(run).state == "finished"
    assert len(RunView.of(run).out_of_memory) == 1
    (run.folder / "adapter").rename(run.folder / "first")
    with memory_for(tokens=320):
        again = train_here(run)
    assert again.state == "finished", again.failure
    assert len(again.out_of_memory) == 1, "it began with the smaller batch"


def test_validation_rows_that_do_not_fit_are_gone_through_by_fewer(
    new_run: Callable[..., Run], one_batch: Profile, enough: RunView
) -> None:
    with memory_for(tokens=200, training=False):
        view = train_here(new_run(profile=one_batch))
    assert view.state == "finished", view.failure
    assert not view.out_of_memory
    assert [warning.code for warning in view.warnings] == ["evaluation_memory", "evaluation_memory"]
    assert view.warnings[-1].message.endswith("with 1 row at a time")
    assert [event.eval_loss for event in view.evaluations] == pytest.approx(
        [event.eval_loss for event in enough.evaluations], rel=1e-4
    )
    assert losses(view) == losses(enough)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's data is Linux's")
def test_the_systems_own_refusal_is_met_like_a_gpus(new_run: Callable[..., Run], one_batch: Profile) -> None:
    import torch

    before = resource.getrlimit(resource.RLIMIT_DATA)
    embed = torch.nn.Embedding.forward
    forced: list[int] = []

    def forward(self: Any, input: Any) -> Any:
        if torch.is_grad_enabled() and input.numel() > 320 and not forced:
            forced.append(input.numel())
            size = re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1]  # type: ignore[index]
            resource.setrlimit(resource.RLIMIT_DATA, ((int(size) << 10) + (512 << 20), before[1]))
            torch.empty(4 * GIB, dtype=torch.uint8)  # the real allocator says no
        return embed(self, input)

    torch.nn.Embedding.forward = forward  # type: ignore[method-assign]
    try:
        view = train_here(new_run(profile=one_batch))
    finally:
        torch.nn.Embedding.forward = embed  # type: ignore[method-assign]
        resource.setrlimit(resource.RLIMIT_DATA, before)
    assert forced
    assert view.state == "finished", view.failure
    assert [item.per_device_train_batch_size for item in view.out_of_memory] == [2]
    assert view.out_of_memory[0].longest <= forced[0] // 4
    assert [event.step for event in view.metrics] == list(range(1, 11))
