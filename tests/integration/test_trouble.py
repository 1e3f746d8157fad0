"""A run that goes wrong is told by name, stopped where the profile says so, and keeps its best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.profiles import Profile
from train_here import train_here

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def few_rows(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short rows, so that one step is all of them; two to validate on."""
    folder = tmp_path_factory.mktemp("few") / "rows"
    folder.mkdir()
    lines = (small_dataset / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(lines[0:8:2]))
    (folder / "validation.jsonl").write_text("".join(lines[10:14:2]))
    (folder / "test.jsonl").write_text(lines[16])
    return folder


def training(profile: Profile, **changes: Any) -> Profile:
    """`profile` with steps of all four rows and these changes, and nothing measured beside them."""
    given = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1} | changes
    return msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, **given))


@contextmanager
def spoiled(step: int, until: int = 10_000) -> Iterator[None]:
    """A forward pass that gives no numbers, at the steps from `step` to `until`; a micro-batch is a step here."""
    import torch

    embed = torch.nn.Embedding.forward
    made = 0

    def forward(self: Any, input: Any) -> Any:
        nonlocal made
        found = embed(self, input)
        if torch.is_grad_enabled():
            made += 1
            if step <= made <= until:
                return found * math.nan
        return found

    torch.nn.Embedding.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Embedding.forward = embed  # type: ignore[method-assign]


def finite(path: Path) -> bool:
    """Whether every weight of an adapter file is a number."""
    import torch
    from safetensors.torch import load_file

    return all(bool(torch.isfinite(weight).all()) for weight in load_file(path).values())


def warned(view: RunView) -> list[tuple[str, int]]:
    """Codes and steps of the warnings."""
    return [(warning.code, warning.step) for warning in view.warnings]


def test_a_loss_that_is_no_number_stops_the_run_before_it_touches_the_weights(
    new_run: Callable[..., Run], small_profile: Profile, few_rows: Path
) -> None:
    profile = training(small_profile, num_train_epochs=6, save_steps=2)
    run = new_run(profile=profile, dataset=str(few_rows))
    with spoiled(step=4):
        view = train_here(run)
    assert view.state == "stopped"
    word = view.last_word
    assert isinstance(word, journal.Stopped)
    assert word.step == 4
    assert word.reason.startswith("nan: the loss or its gradient is not a number at step 4")
    assert warned(view) == [("nan", 4)]
    assert "training.learning_rate" in view.warnings[0].advice
    assert [event.step for event in view.metrics] == [1, 2, 3]
    assert finite(run.folder / word.checkpoint / "adapter_model.safetensors")

    assert [event.step for event in view.evaluations] == [1, 2, 3]
    resumed = train_here(run)  # what broke that step is gone
    assert resumed.state == "finished", resumed.failure
    assert [event.step for event in resumed.metrics] == [1, 2, 3, 5, 6]
    assert [event.step for event in resumed.evaluations] == [1, 2, 3, 4, 5, 6]  # that of the stop is made up for
    assert finite(run.folder / "adapter" / "adapter_model.safetensors")


def test_where_it_may_go_on_a_step_without_numbers_changes_nothing(
    new_run: Callable[..., Run], small_profile: Profile, few_rows: Path
) -> None:
    profile = training(small_profile, num_train_epochs=5, stop_on=())
    run = new_run(profile=profile, dataset=str(few_rows))
    with spoiled(step=2, until=3):
        view = train_here(run)
    assert view.state == "finished", view.failure
    assert warned(view) == [("nan", 2)]
    assert [event.step for event in view.metrics] == [1, 4, 5]
    assert finite(run.folder / "adapter" / "adapter_model.safetensors")


def test_a_flat_loss_is_told_and_ends_the_run_where_it_should(
    new_run: Callable[..., Run], small_profile: Profile, few_rows: Path
) -> None:
    profile = training(
        small_profile, num_train_epochs=44, learning_rate=1e-12, lr_scheduler_type="constant", stop_on=("plateau",)
    )
    profile = msgspec.structs.replace(profile, lora=msgspec.structs.replace(profile.lora, lora_dropout=0.0))
    profile = msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, save_steps=100))
    view = train_here(new_run(profile=profile, dataset=str(few_rows)))
    assert warned(view) == [("plateau", 30)]
    assert view.warnings[0].message.startswith("the loss is flat: ")
    word = view.last_word
    assert isinstance(word, journal.Stopped)
    assert (word.step, word.checkpoint) == (30, "checkpoints/checkpoint-30")
    assert word.reason.startswith("plateau: the loss is flat")
    assert (view.run.folder / word.checkpoint / "manifest.json").is_file()


def test_patience_ends_a_run_that_gets_worse_and_its_adapter_is_the_best_one(
    new_run: Callable[..., Run], small_profile: Profile, few_rows: Path
) -> None:
    profile = training(
        small_profile,
        num_train_epochs=40,
        learning_rate=0.3,
        warmup_steps=40.0,  # ever larger steps: it gets better, then much worse
        eval_steps=1,
        save_steps=100,
        save_total_limit=1,
        early_stopping_patience=3,
    )
    run = new_run(profile=profile, dataset=str(few_rows))
    view = train_here(run)
    assert view.state == "finished", view.failure
    losses = {event.step: event.eval_loss for event in view.evaluations}
    best = min(losses, key=losses.__getitem__)
    word = view.last_word
    assert isinstance(word, journal.Finished)
    assert (word.steps, word.best_step, word.eval_loss) == (best + 3, best, losses[best])
    assert ("early_stopping", best + 3) in warned(view)
    assert f"that of step {best}, the best" in view.warnings[-1].advice
    assert [event.step for event in view.checkpoints if event.best][-1] == best
    kept = run.folder / "checkpoints" / f"checkpoint-{best}" / "adapter_model.safetensors"
    from safetensors.torch import load_file

    saved, of_best = load_file(run.folder / "adapter" / "adapter_model.safetensors"), load_file(kept)
    assert all((saved[name] == of_best[name]).all() for name in of_best)
