"""A packed run, from the profile to the adapter."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def test_a_packed_run_trains_on_every_row_and_learns(new_run: Callable[..., Run], small_profile: Profile) -> None:
    training = msgspec.structs.replace(
        small_profile.training,
        packing=True,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        gradient_checkpointing=True,
        num_train_epochs=3,
        threads=1,
        nice=3,
        eval_steps=5,
    )
    run = new_run(profile=msgspec.structs.replace(small_profile, training=training))
    supervisor.start(run)
    assert supervisor.wait(run, 240)
    view = RunView.of(run)
    assert view.state == "finished", view.failure
    assert [item.code for item in view.warnings] == ["packing_on_cpu"]
    assert view.started is not None
    assert 3 <= view.total_steps < 3 * 20, "several rows share a step"
    assert view.metrics[-1].loss < view.metrics[0].loss
    assert view.evaluations, "validation rows are not packed, and evaluated all the same"
    first_epoch = [item.tokens for item in view.metrics if item.epoch <= 1]
    assert view.metrics[-1].tokens == 3 * first_epoch[-1], "every epoch has the labels of every row"
    assert any(isinstance(event, journal.Finished) for event in journal.JournalReader(run.journal).read())
