"""A rented machine: within its price and hours, found again, and given back on every way out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fakes.cloud import CUT, GARBAGE, LOST, TARDY, Cloud
from lora_tui.backends.renting import lease
from lora_tui.backends.renting.lease import NOT_CONFIRMED, StopAsked, leased
from lora_tui.backends.renting.provider import Machine, Provider, Wanted
from lora_tui.jobs import journal
from lora_tui.jobs.job import Box
from lora_tui.workspace.errors import LoraTuiError
from renting_clock import Clock, rented_from

RUN = "20261130-101010-train-abcd"


class Renting:
    """One run, its journal, and the provider it rents from."""

    def __init__(self, name: str, cloud: Cloud, ours: Provider, clock: Clock, folder: Path) -> None:
        self.name, self.cloud, self.ours, self.clock = name, cloud, ours, clock
        self.path = folder / "journal.jsonl"
        self.box: dict[str, Any] = {"gpu": "4090", "max_price": 0.5, "max_hours": 2.0}

    def lease(self, wanted: Wanted | None = None, **more: Any) -> AbstractContextManager[Machine]:
        box = Box(provider=self.name, **self.box)
        log = journal.Journal(self.path)
        more = {"source": self.ours, "clock": self.clock, "sleep": self.clock.sleep} | more
        return leased(log, box, RUN, "ssh-ed25519 AAAA us", wanted=wanted, **more)

    def events(self, *kinds: type) -> list[Any]:
        return [event for event in journal.JournalReader(self.path).read() if not kinds or isinstance(event, kinds)]


@pytest.fixture(params=["runpod", "vast"])
def renting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Renting]:
    with rented_from(request.param, monkeypatch) as (cloud, ours, clock):
        yield Renting(request.param, cloud, ours, clock, tmp_path)


def test_a_machine_is_rented_runs_and_is_gone_afterwards(renting: Renting) -> None:
    renting.cloud.ssh = ("127.0.0.1", 2222)
    with renting.lease() as machine:
        assert (machine.state, machine.host, machine.port, machine.user) == ("running", "127.0.0.1", 2222, "root")
        assert machine.label == f"lora-tui/{RUN}"
        assert [box.label for box in renting.cloud.living] == [machine.label]
        renting.clock.sleep(600)
    assert renting.cloud.living == []
    hiring, hired, released = renting.events(journal.Hiring, journal.Hired, journal.Released)
    assert hiring.label == machine.label
    assert (hired.id, released.id) == (machine.id, machine.id)
    assert released.seconds == pytest.approx(renting.cloud.seconds(renting.cloud.boxes[0]), abs=2)
    assert released.cost >= renting.cloud.billed() * 0.99


def test_the_machine_ends_itself_and_has_the_key(renting: Renting) -> None:
    with renting.lease():
        pass
    (box,) = renting.cloud.boxes
    told = box.asked.get("onstart") or box.asked["env"]["LORA_TUI_DEAD_MAN"]
    deadline = int(box.created + 2.25 * 3600)
    assert f"-lt {deadline} " in told or f"-lt {deadline + 1} " in told or f"-lt {deadline - 1} " in told
    assert "AAAA" in (box.asked.get("onstart") or box.asked["env"]["PUBLIC_KEY"])


def test_what_costs_more_than_the_cap_is_not_rented(renting: Renting) -> None:
    renting.box["max_price"] = 0.05
    with pytest.raises(LoraTuiError, match=r"offers no 1× 4090 for at most \$0.05/h"), renting.lease():
        pass
    assert renting.cloud.boxes == []


def test_a_machine_that_costs_more_than_it_was_offered_for_is_given_back(renting: Renting) -> None:
    renting.cloud.dearer = 3.0
    with pytest.raises(LoraTuiError, match="no machine of"), renting.lease():
        pass
    assert renting.cloud.boxes
    assert renting.cloud.living == []
    assert any("more than $0.5" in note.message for note in renting.events(journal.Note))


def test_one_that_never_runs_is_given_back_and_the_next_is_tried(renting: Renting) -> None:
    renting.box["max_price"] = 5.0
    renting.cloud.broken.extend(["offline" if renting.name == "vast" else "ERROR"])
    with renting.lease() as machine:
        assert machine.id == renting.cloud.boxes[1].id
    assert renting.cloud.most_at_once == 1
    assert renting.cloud.living == []


def test_one_that_loads_for_ever_is_given_up(renting: Renting) -> None:
    renting.box["max_price"] = 5.0
    renting.cloud.starts_after = 10_000
    with pytest.raises(LoraTuiError, match="no machine of"), renting.lease():
        pass
    assert 1 < len(renting.cloud.boxes) <= 3
    assert renting.cloud.living == []
    assert renting.cloud.most_at_once == 1


@pytest.mark.parametrize("fault", [LOST, GARBAGE])
def test_a_lost_answer_rents_no_second_machine(renting: Renting, fault: str) -> None:
    sent = ("POST", "/v2/pods") if renting.name == "runpod" else ("PUT", "asks")
    planted = False

    def before(method: str, path: str) -> None:
        nonlocal planted
        if not planted and method == sent[0] and sent[1] in path:
            planted = True
            renting.cloud.fail(fault)

    renting.cloud.before = before
    with renting.lease() as machine:
        assert machine.state == "running"
    assert len(renting.cloud.boxes) == 1
    assert renting.cloud.living == []


def test_a_request_that_is_carried_out_after_all_looks_leaves_no_machine(renting: Renting) -> None:
    sent = "POST" if renting.name == "runpod" else "PUT"
    renting.box["max_price"] = 1.0
    renting.cloud.tardy_by = 9  # four looks at the list come before
    renting.cloud.before = lambda method, path: (
        renting.cloud.fail(TARDY) if method == sent and not renting.cloud.due and not renting.cloud.boxes else None
    )
    with renting.lease() as machine:
        assert machine.state == "running"
        for _ in range(9):
            renting.ours.look(machine.id)
        assert len(renting.cloud.living) == 2
    assert renting.cloud.living == []
    released = [event.id for event in renting.events(journal.Released) if event.id]
    assert sorted(released) == sorted(box.id for box in renting.cloud.boxes)


def test_one_that_appears_late_after_a_kill_is_found_by_the_next_start(renting: Renting) -> None:
    log = journal.Journal(renting.path)
    log.write(journal.Hiring(provider=renting.name, label=f"lora-tui/{RUN}"))
    asked = {"disk": 60, "ports": ["22/tcp"]}
    late = lambda: renting.cloud.add(f"lora-tui/{RUN}", 0.3, asked, what="RTX 4090")  # noqa: E731
    renting.cloud.due.append((len(renting.cloud.seen) + 3, late))  # killed while it asked: the provider is slow
    with renting.lease():
        assert len(renting.cloud.living) == 1
    assert renting.cloud.living == []
    assert renting.cloud.most_at_once == 1


@pytest.mark.parametrize("way", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_ends_the_work_the_machine_is_given_back(renting: Renting, way: type[BaseException]) -> None:
    with pytest.raises(way), renting.lease():
        raise way
    assert renting.cloud.living == []
    assert len(renting.events(journal.Released)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_giving_back_does_not_break_it(renting: Renting, number: signal.Signals) -> None:
    def impatient(seconds: float) -> None:
        os.kill(os.getpid(), number)
        renting.cloud.undying = False
        renting.clock.sleep(seconds)

    renting.cloud.starts_after = 0
    with renting.lease(sleep=impatient):
        renting.cloud.undying = True  # the first request to end it has no effect
    assert renting.cloud.living == []


def test_sigterm_gives_the_machine_back(renting: Renting) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit), renting.lease():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        assert renting.cloud.living == []
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_after_a_kill_the_same_machine_is_gone_on_with(renting: Renting) -> None:
    first = renting.lease()
    machine = first.__enter__()
    again = renting.lease()
    assert again.__enter__().id == machine.id
    again.__exit__(None, None, None)
    assert len(renting.cloud.boxes) == 1
    assert renting.cloud.living == []


def test_a_machine_whose_id_was_never_written_is_found_by_its_label(renting: Renting) -> None:
    log = journal.Journal(renting.path)
    log.write(journal.Hiring(provider=renting.name, label=f"lora-tui/{RUN}"))
    box = renting.cloud.add(f"lora-tui/{RUN}", 0.3, {"disk": 60, "ports": ["22/tcp"]}, what="RTX 4090")
    other = renting.cloud.add("somebody's own", 0.3, {"disk": 60}, what="RTX 4090")
    with renting.lease() as machine:
        assert machine.id == box.id
    assert renting.cloud.living == [other]


def test_one_whose_hours_are_over_when_the_run_goes_on_is_given_back(renting: Renting) -> None:
    first = renting.lease()
    old = first.__enter__()
    renting.clock.sleep(3 * 3600)
    with renting.lease() as machine:
        assert machine.id != old.id
    assert renting.cloud.living == []
    assert renting.cloud.most_at_once == 1
    assert renting.events(journal.Released)[0].seconds > 3 * 3600


def test_one_that_ended_itself_is_charged_until_its_switch(renting: Renting) -> None:
    killed = renting.lease()
    killed.__enter__()
    box = renting.cloud.living[0]
    renting.clock.sleep(2.2 * 3600)
    box.ended = renting.clock()
    renting.clock.sleep(100 * 3600)
    with renting.lease():
        pass
    released = renting.events(journal.Released)[0]
    assert renting.cloud.seconds(box) <= released.seconds <= 2.26 * 3600


def test_at_the_end_of_its_hours_it_is_given_back_in_the_middle_of_the_work(renting: Renting) -> None:
    renting.box["max_hours"] = 0.5 / 3600
    gone = threading.Event()

    def before(method: str, path: str) -> None:
        if method == "DELETE":
            gone.set()

    renting.cloud.before = before
    renting.cloud.starts_after = 0
    with pytest.raises(LoraTuiError, match="hours are over"), renting.lease() as machine:
        assert machine.until == pytest.approx(renting.cloud.boxes[0].created + 0.5, abs=1)
        assert gone.wait(5)
        while renting.cloud.living:
            time.sleep(0.01)
        raise ConnectionError("the machine is gone")
    assert len(renting.events(journal.Released)) == 1
    assert any("hours are over" in warned.message for warned in renting.events(journal.Warned))


def test_one_that_cannot_be_confirmed_gone_is_named_and_ended_at_the_next_start(renting: Renting) -> None:
    with renting.lease() as machine:
        renting.cloud.undying = True
    warned = renting.events(journal.Warned)[-1]
    assert warned.code == NOT_CONFIRMED
    assert machine.id in warned.message
    assert f"lora-tui rented end {machine.id}" in warned.advice
    assert renting.events(journal.Released) == []
    renting.cloud.undying = False
    with renting.lease() as again:
        assert again.id == machine.id
    assert renting.cloud.living == []
    assert len(renting.events(journal.Released)) == 1


def test_the_release_goes_on_through_failures(renting: Renting) -> None:
    with renting.lease():
        renting.cloud.fail(CUT, 500, 503, LOST, CUT, CUT, CUT, 502, GARBAGE, 500, 500, 500)
    assert renting.cloud.living == []
    assert len(renting.events(journal.Released)) == 1


def test_a_stop_is_heard_while_the_machine_starts(renting: Renting) -> None:
    renting.cloud.starts_after = 10_000
    with pytest.raises(StopAsked), renting.lease(stop_asked=lambda: bool(renting.cloud.boxes)):
        pass
    assert renting.cloud.living == []


def test_a_refused_key_is_said_once_and_rents_nothing(renting: Renting) -> None:
    renting.cloud.fail(401)
    with pytest.raises(LoraTuiError, match="does not accept the key") as told, renting.lease():
        pass
    assert f"${renting.name.upper()}_API_KEY" in told.value.fix
    assert renting.cloud.boxes == []


def test_an_interrupt_while_it_is_asked_for_leaves_nothing(renting: Renting, monkeypatch: pytest.MonkeyPatch) -> None:
    rent = type(renting.ours).rent

    def interrupted(*arguments: Any) -> Machine:
        rent(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(renting.ours), "rent", interrupted)
    with pytest.raises(KeyboardInterrupt), renting.lease():
        pass
    assert renting.cloud.boxes
    assert renting.cloud.living == []


def test_a_full_disk_does_not_keep_a_machine(renting: Renting, monkeypatch: pytest.MonkeyPatch) -> None:
    write = journal.Journal.write

    def full(log: journal.Journal, event: Any) -> None:
        if isinstance(event, journal.Hired):
            raise LoraTuiError("the disk is full")
        write(log, event)

    monkeypatch.setattr(journal.Journal, "write", full)
    with pytest.raises(LoraTuiError, match="disk is full"), renting.lease():
        pass
    assert renting.cloud.boxes
    assert renting.cloud.living == []


def test_several_nodes_are_one_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with rented_from("runpod", monkeypatch) as (cloud, ours, clock):
        renting = Renting("runpod", cloud, ours, clock, tmp_path)
        renting.box |= {"gpu": "A100", "gpus": 8, "max_price": 30.0}
        with renting.lease(Wanted(nodes=2)) as machine:
            assert len(machine.nodes) == 2
            assert machine.address == "10.65.0.2"
            assert machine.price_per_hour == pytest.approx(2 * 8 * 1.64)
        assert cloud.boxes[0].asked["compute"] == {
            "gpuTypeId": "NVIDIA A100 80GB PCIe",
            "gpuCountPerPod": 8,
            "podCount": 2,
        }
        assert cloud.living == []


def test_no_sign_of_the_key_is_left(renting: Renting) -> None:
    with pytest.raises(LoraTuiError) as told, renting.lease():
        renting.cloud.fail(*[500] * 200)
        raise LoraTuiError(str(lease.__doc__))
    written = renting.path.read_text() + str(told.value)
    assert "rented-key" not in written
