"""Asking RunPod and Vast: what is sent, what is asked again, and what a person is told when it goes wrong."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from fakes.cloud import CUT, GARBAGE, KEY, LATER, LOST, Cloud
from fakes.runpod import RunPod as FakeRunPod
from fakes.vast import Vast as FakeVast
from lora_tui.backends.renting.dead_man import dead_man
from lora_tui.backends.renting.provider import Offer, Provider, Wanted, is_named, provider
from lora_tui.backends.renting.rest import NoAnswer, Refused
from lora_tui.workspace.errors import BadInput
from renting_clock import Clock, rented_from

Service = tuple[Cloud, Provider, Clock]


@pytest.fixture(params=["runpod", "vast"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with rented_from(request.param, monkeypatch) as found:
        yield found


def offer(ours: Provider) -> Offer:
    return ours.offers(Wanted(gpu="4090"))[0]


@pytest.mark.parametrize("fault", [CUT, GARBAGE, 500, 502, 503, LATER])
def test_a_question_is_asked_again(service: Service, fault: str | int) -> None:
    cloud, ours, _ = service
    cloud.fail(fault, fault)
    assert ours.offers(Wanted(gpu="4090"))


def test_it_waits_as_long_as_it_is_asked_to(service: Service) -> None:
    cloud, ours, clock = service
    began = clock.now
    cloud.fail(LATER)
    ours.all()
    assert clock.now - began >= 7


def test_a_provider_that_does_not_answer_is_named(service: Service) -> None:
    cloud, ours, _ = service
    cloud.fail(*[CUT] * 4)
    with pytest.raises(NoAnswer, match=r"(RunPod|Vast) does not answer"):
        ours.all()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not accept the key"),
        (402, "wants credit first"),
        (403, "does not let this key do that"),
        (404, "does not have that"),
        (409, "cannot be done now"),
        (422, "does not take the request"),
        (418, "answers 418"),
    ],
)
def test_each_refusal_is_one_clear_message(service: Service, status: int, said: str) -> None:
    cloud, ours, _ = service
    cloud.fail(status)
    with pytest.raises(Refused, match=said) as told:
        ours.offers(Wanted())
    assert "planted fault" in told.value.what, "what the provider says about it"
    assert KEY not in str(told.value)


@pytest.mark.parametrize("fault", [CUT, LOST, GARBAGE, 500, 504])
def test_renting_is_never_asked_twice(service: Service, fault: str | int) -> None:
    cloud, ours, _ = service
    wanted = offer(ours)
    cloud.seen.clear()
    cloud.fail(fault)
    with pytest.raises(NoAnswer):
        ours.rent(wanted, "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
    assert len(cloud.seen) == 1


def test_renting_waits_where_it_was_turned_away_for_being_one_too_many(service: Service) -> None:
    cloud, ours, _ = service
    wanted = offer(ours)
    cloud.fail(LATER)
    machine = ours.rent(wanted, "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
    assert [box.id for box in cloud.boxes] == [machine.id]


def test_ending_what_is_gone_is_fine(service: Service) -> None:
    _, ours, _ = service
    ours.end("4711")
    assert ours.look("4711") is None


def test_a_key_that_the_answer_repeats_is_not_shown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours, _ = service
    wrong = "wrong-key-0815"
    monkeypatch.setenv(f"{ours.name.upper()}_API_KEY", wrong)
    with pytest.raises(Refused) as told:
        provider(ours.name).all()
    assert "<key>" in told.value.what
    assert wrong not in str(told.value)


def test_without_a_key_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    with pytest.raises(BadInput, match=r"\$RUNPOD_API_KEY is not set"):
        provider("runpod")
    with pytest.raises(BadInput, match="nobody rents machines under the name 'lambda'"):
        provider("lambda")


@pytest.mark.parametrize(
    "address", ["http://example.com", "ftp://127.0.0.1", "https://user:pw@example.com", "nonsense"]
)
def test_a_key_is_sent_to_no_address_it_could_be_read_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAST_API_KEY", KEY)
    monkeypatch.setenv("VAST_BASE_URL", address)
    with pytest.raises(BadInput, match=r"\$VAST_BASE_URL") as told:
        provider("vast")
    assert "pw" not in str(told.value)


def test_a_pod_is_asked_for_with_its_port_and_key_and_the_accounts_keys_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("runpod", monkeypatch) as (cloud, ours, _):
        machine = ours.rent(offer(ours), "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
        asked = cloud.boxes[0].asked
        assert asked["ports"] == ["22/tcp"]
        assert asked["env"]["PUBLIC_KEY"] == "ssh-ed25519 AAAA us"
        assert asked["cloud"] == "COMMUNITY", "the cheaper one"
        assert not [path for _, path, _ in cloud.seen if "ssh-keys" in path]
        assert machine.price_per_hour == pytest.approx(0.34)
        assert machine.began == pytest.approx(cloud.boxes[0].created, abs=0.01)


def test_a_pod_runs_only_when_its_sshd_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("runpod", monkeypatch, ssh=("127.0.0.1", 2222)) as (cloud, ours, _):
        machine = ours.rent(offer(ours), "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
        states = [ours.look(machine.id) for _ in range(4)]
        assert [state.state for state in states if state] == ["starting", "starting", "running", "running"]
        cloud.boxes[0].asked["ports"] = []
        found = ours.look(machine.id)
        assert found is not None
        assert found.state == "starting"


def test_gpus_out_of_stock_or_not_in_a_cloud_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("runpod", monkeypatch) as (cloud, ours, _):
        assert isinstance(cloud, FakeRunPod)
        assert [one.place for one in ours.offers(Wanted(gpu="H100"))] == ["secure cloud, stock high"]
        cloud.out_of_stock.add("NVIDIA H100 80GB HBM3")
        assert ours.offers(Wanted(gpu="H100")) == []
        assert ours.offers(Wanted(gpus=6, gpu="A100", max_price=8.0)) == [], "6 × 1.64 and 6 of 4"


@pytest.mark.parametrize(
    ("wanted", "name", "fits"),
    [
        ("4090", "NVIDIA GeForce RTX 4090", True),
        ("rtx_4090", "RTX 4090", True),
        ("A100 80GB", "NVIDIA A100-SXM4-80GB", True),
        ("L4", "NVIDIA L40S", False),
        ("L4", "NVIDIA L4", True),
        ("A40", "NVIDIA A100 80GB PCIe", False),
        ("", "whatever", True),
    ],
)
def test_a_gpu_is_found_by_words_of_its_name(wanted: str, name: str, fits: bool) -> None:
    assert is_named(wanted, name) == fits


def test_an_instance_that_somebody_else_got_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("vast", monkeypatch) as (cloud, ours, _):
        assert isinstance(cloud, FakeVast)
        wanted = offer(ours)
        cloud.taken.add(int(wanted.id))
        with pytest.raises(Refused, match="is not available"):
            ours.rent(wanted, "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
        assert cloud.boxes == []


@pytest.mark.parametrize("state", ["stopped", "exited", "unknown", "offline"])
def test_states_that_never_run_are_failures(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("vast", monkeypatch) as (cloud, ours, _):
        cloud.broken.append(state)
        machine = ours.rent(offer(ours), "lora-tui/r1", "ssh-ed25519 AAAA us", "true")
        found = ours.look(machine.id)
        assert found is not None
        assert (found.state, found.reason) == ("failed", "the image cannot be pulled")


def test_an_instance_gets_the_key_twice_and_no_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("vast", monkeypatch) as (cloud, ours, _):
        assert isinstance(cloud, FakeVast)
        machine = ours.rent(offer(ours), "lora-tui/r1", "ssh-ed25519 AAAA it's", "true")
        assert cloud.keys == {machine.id: ["ssh-ed25519 AAAA it's"]}
        assert "touch ~/.no_auto_tmux" in cloud.boxes[0].asked["onstart"]
        assert cloud.boxes[0].asked["runtype"] == "ssh_direc ssh_proxy"


def test_every_instance_of_a_large_account_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("vast", monkeypatch) as (cloud, ours, _):
        for number in range(60):  # the service lists 25 at a time
            cloud.add(f"lora-tui/{number}" if number % 2 else "somebody's own", 0.3, {"disk": 60})
        assert [machine.label for machine in ours.all()] == [f"lora-tui/{number}" for number in range(1, 60, 2)]


def test_vast_has_no_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    with rented_from("vast", monkeypatch) as (_, ours, _), pytest.raises(BadInput, match="no clusters"):
        ours.offers(Wanted(nodes=2))


@pytest.mark.parametrize(("name", "ends"), [("runpod", "runpodctl pod delete P1"), ("vast", "DELETE")])
def test_the_switch_waits_and_then_ends_the_machine(name: str, ends: str) -> None:
    """Run by a real shell, with programs that only say how they were called."""
    stubs = 'runpodctl() { echo "runpodctl $*"; exit; }; curl() { echo "curl $*"; exit; }; sleep() { :; }\n'
    own = "RUNPOD_POD_ID=P1 CONTAINER_ID=C1 CONTAINER_API_KEY=k1\n"
    past = dead_man(name, 1.0, time.time() - 2 * 3600)
    done = subprocess.run(["bash", "-c", stubs + own + past], capture_output=True, text=True, timeout=20)
    assert ends in done.stdout
    still = stubs.replace("sleep() { :; }", "sleep() { echo waits; exit; }") + own + dead_man(name, 1.0)
    done = subprocess.run(["bash", "-c", still], capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "waits"
