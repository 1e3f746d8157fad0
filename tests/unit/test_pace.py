"""How long and how dear a run will be: from what was measured here, and unknown where nothing was."""

from __future__ import annotations

import socket

import msgspec
import pytest

import run_stories
from lora_tui.backends import pace
from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.probed import Probed
from lora_tui.workspace.config import Cost, load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.settings import with_settings

BASE = "lab/base"
STEP = Probed(1 << 30, 2.0, 100.0, 900, 2, "cpu", "here", 0.0)


def past(workspace: Workspace, name: str, speed: float, host: str = "", *settings: str) -> None:
    """A finished run of two steps at `speed` tokens a second."""
    profile = with_settings(run_stories.PROFILE, settings)
    steps = [
        journal.Metrics(step=step, epoch=1.0, loss=1.0, learning_rate=1e-4, tokens_per_second=speed, step_seconds=2.0)
        for step in (1, 2)
    ]
    started = journal.Started(pid=1, host=host or socket.gethostname(), total_steps=2)
    job = Train(profile=profile, base=BASE, dataset="/data")
    run_stories.write_run(workspace, name, job, "a run", [started, *steps, journal.Finished(steps=2)])


def found(workspace: Workspace, profile: Profile = run_stories.PROFILE, step: Probed | None = None) -> pace.Pace | None:
    return pace.pace(workspace, BASE, profile, step)


def test_what_nobody_measured_is_unknown(workspace: Workspace) -> None:
    assert found(workspace) is None
    assert pace.price(None, Cost(price_per_hour=2.0)) is None
    assert pace.price((3600.0, 7200.0), Cost()) is None
    assert pace.price((3600.0, 7200.0), Cost(price_per_kwh=0.3)) is None  # how much it draws is not known


def test_past_runs_on_this_machine_with_like_settings_give_a_range(workspace: Workspace) -> None:
    past(workspace, "20260101-000000-train-aaaa", 90.0)
    past(workspace, "20260102-000000-train-bbbb", 120.0)
    past(workspace, "20260103-000000-train-cccc", 5000.0, "another-machine")
    past(workspace, "20260104-000000-train-dddd", 7000.0, "", "training.gradient_checkpointing=true")
    past(workspace, "20260105-000000-train-eeee", 110.0, "", "training.learning_rate=0.5")  # changes no pace
    known = found(workspace, step=STEP)
    assert known == pace.Pace(90.0, 120.0, "3 runs of this base on this machine")


def test_a_probed_step_says_the_pace_until_there_is_a_run(workspace: Workspace) -> None:
    known = found(workspace, step=STEP)
    assert known is not None
    assert known.slow < 100.0 < known.fast
    assert known.source == "one probed step"


def test_rent_and_electricity_are_ranges_with_their_currency(workspace: Workspace) -> None:
    workspace.ensure()
    workspace.config.write_text('[cost]\nprice_per_kwh = 0.30\nwatts = 400\ncurrency = "EUR"\n')
    cost = load_config(workspace).cost
    electricity = pace.price((3600.0, 7200.0), cost)
    assert electricity is not None
    assert (electricity.low, electricity.high) == pytest.approx((0.12, 0.24))
    assert (electricity.currency, electricity.source) == ("EUR", "400 W at 0.3 a kWh")
    rent = pace.price((3600.0, 7200.0), msgspec.structs.replace(cost, price_per_hour=1.5))
    assert rent is not None
    assert (rent.low, rent.high) == (1.5, 3.0)


def test_a_price_below_nothing_is_refused_with_its_line(workspace: Workspace) -> None:
    workspace.ensure()
    workspace.config.write_text("[cost]\nwatts = 400\nprice_per_kwh = -1\n")
    with pytest.raises(BadInput) as caught:
        load_config(workspace)
    assert "cost.price_per_kwh" in caught.value.what
    assert caught.value.where.endswith(":3")
