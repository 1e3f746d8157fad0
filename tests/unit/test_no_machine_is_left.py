"""Whatever fails, and wherever the process is killed: no machine is left, and every second of one is in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import run_stories
from fakes.cloud import CUT, FINE, GARBAGE, LATER, LOST, Cloud
from lora_tui.backends.renting import rest, sweep
from lora_tui.backends.renting.hires import Hires
from lora_tui.backends.renting.lease import NOT_CONFIRMED, StopAsked, leased
from lora_tui.backends.renting.provider import Provider
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from renting_clock import Clock, rented_from


class Killed(BaseException):
    """kill -9: nothing is done any more, neither in a `finally` nor anywhere."""


class Life(msgspec.Struct, frozen=True):
    """One process of the run: what fails, what the provider does, after how many steps it is killed."""

    faults: tuple[str | int, ...] = ()
    broken: tuple[str, ...] = ()
    killed_after: int = 10_000
    works: float = 100.0  # seconds, once it has a machine
    fails: bool = False  # the work ends with an error
    undying: bool = False  # the provider answers that it ends a machine, and does not
    dearer: float = 1.0


LIFE = st.builds(
    Life,
    faults=st.lists(
        st.sampled_from([FINE, FINE, FINE, CUT, LOST, GARBAGE, LATER, 400, 404, 409, 500, 503]), max_size=14
    ).map(tuple),
    broken=st.lists(st.sampled_from(["ERROR", "EXITED", ""]), max_size=3).map(tuple),
    killed_after=st.one_of(st.just(10_000), st.integers(1, 45)),
    works=st.sampled_from([0.0, 100.0, 9000.0]),
    fails=st.booleans(),
    undying=st.sampled_from([False, False, False, True]),
    dearer=st.sampled_from([1.0, 1.0, 1.0, 9.0]),
)


class Fresh:
    """What a world is made of; Hypothesis would print a tuple of it whole."""

    def __init__(self, *parts: Any) -> None:
        self.parts: tuple[Workspace, Cloud, Provider, Clock] = parts  # type: ignore[assignment]


class World:
    """A run, a provider, and processes that come and go."""

    def __init__(self, workspace: Workspace, cloud: Cloud, ours: Provider, clock: Clock, number: int) -> None:
        self.cloud, self.ours, self.clock, self.workspace = cloud, ours, clock, workspace
        self.box = Box(provider=ours.name, gpu="4090", max_price=1.0, max_hours=2.0)
        job = msgspec.structs.replace(run_stories.train_job(workspace), elsewhere=self.box)
        self.run = supervisor.create(workspace, job, "tiny", identity=f"20261130-101010-train-{number:06d}")
        self.steps = self.killed_after = 0

    def step(self) -> None:
        """Something outside is about to be done, or was."""
        self.steps += 1
        if self.steps > self.killed_after:
            raise Killed

    def sleep(self, seconds: float) -> None:
        self.step()
        self.clock.sleep(seconds)

    def live(self, life: Life) -> bool:
        """One process, from its start to its end; whether it got to say a last word."""
        self.steps, self.killed_after = 0, life.killed_after
        self.cloud.faults.clear()
        self.cloud.broken.clear()
        self.cloud.fail(*life.faults)
        self.cloud.broken.extend(life.broken)
        self.cloud.undying, self.cloud.dearer = life.undying, life.dearer
        log = journal.Journal(self.run.journal)
        try:
            with leased(
                log, self.box, self.run.id, "ssh-ed25519 AAAA us", source=self.ours, clock=self.clock, sleep=self.sleep
            ) as machine:
                assert machine.state == "running"
                self.sleep(life.works)
                if life.fails:
                    raise RuntimeError
        except (LoraTuiError, RuntimeError, StopAsked, Killed):
            pass
        finally:
            log.close()
        self.killed_after = 10**9
        return self.steps <= life.killed_after

    def events(self) -> list[Any]:
        return journal.JournalReader(self.run.journal).read()

    def sweep(self) -> None:
        """What `lora-tui rented sweep --yes` does, when nothing fails any more."""
        self.cloud.faults.clear()
        self.cloud.undying = False
        for one in sweep.left_over(self.workspace, [self.ours], self.clock):
            sweep.end(self.workspace, one, self.ours, clock=self.clock, sleep=self.clock.sleep)
        sweep.settle(self.workspace, [self.ours], self.clock)


@contextmanager
def every_step_counted(world: World) -> Iterator[None]:
    """A request and a line of the journal are steps, before and after."""
    write, answer = journal.Journal.write, rest.Rest._answer

    def counted_write(log: journal.Journal, event: Any) -> None:
        world.step()
        write(log, event)
        world.step()

    def counted_answer(api: rest.Rest, *arguments: Any) -> Any:
        world.step()
        found = answer(api, *arguments)
        world.step()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "write", counted_write)
        patch.setattr(rest.Rest, "_answer", counted_answer)
        yield


@pytest.fixture(params=["runpod", "vast"])
def fresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Iterator[Fresh]:
    with rented_from(request.param, monkeypatch, starts_after=1, switches=True) as (cloud, ours, clock):
        yield Fresh(workspace, cloud, ours, clock)


def check(world: World) -> None:
    """Nothing lives, nothing is open, and every machine is in the books for as long as it was there."""
    assert world.cloud.living == []
    assert world.cloud.most_at_once <= 1
    events = world.events()
    assert Hires.of(events).is_settled
    hired = [event.id for event in events if isinstance(event, journal.Hired)]
    released = [event for event in events if isinstance(event, journal.Released) and event.id]
    ids = [box.id for box in world.cloud.boxes]
    assert sorted(hired) == sorted(ids), "each machine once"
    assert sorted(event.id for event in released) == sorted(ids)
    seconds = {event.id: event.seconds for event in released}
    for box in world.cloud.boxes:
        assert seconds[box.id] >= world.cloud.seconds(box) - 0.1
    assert sum(event.cost for event in released) >= world.cloud.billed() - 1e-4


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lives=st.lists(LIFE, min_size=1, max_size=4))
def test_no_sequence_of_failures_and_kills_leaves_a_machine_or_an_unbooked_second(
    fresh: Fresh, lives: list[Life]
) -> None:
    workspace, cloud, ours, clock = fresh.parts
    cloud.forget()
    world = World(workspace, cloud, ours, clock, len(list(workspace.runs.iterdir())))
    with every_step_counted(world):
        for life in lives:
            lived_to_the_end = world.live(life)
            if lived_to_the_end and cloud.living:
                (box,) = cloud.living
                warned = [e for e in world.events() if isinstance(e, journal.Warned) and e.code == NOT_CONFIRMED]
                assert any(box.id in event.message or box.label in event.message for event in warned)
            clock.sleep(60)
        world.sweep()
    check(world)


def test_a_kill_at_any_step_of_a_run_is_made_good_by_the_next_start(
    fresh: Fresh,
) -> None:
    workspace, cloud, ours, clock = fresh.parts
    for killed_after in range(1, 60):
        cloud.forget()
        world = World(workspace, cloud, ours, clock, killed_after)
        with every_step_counted(world):
            whole = world.live(Life(killed_after=killed_after))
            assert world.live(Life())
        check(world)
        if whole:
            assert killed_after > 20, "a run takes more steps than that"
            return
    raise AssertionError("the run never came to its end")
