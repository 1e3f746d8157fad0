"""`lora-tui rented`: offers, what costs, and giving back what no run works on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

import run_stories
from fakes.cloud import KEY, Cloud
from fakes.runpod import RunPod, runpod
from fakes.vast import Vast, vast
from lora_tui.backends.renting import sweep
from lora_tui.cli import train_elsewhere
from lora_tui.cli.main import cli
from lora_tui.cli.output import Cli
from lora_tui.cli.overlays import Overlay
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPod]:
    with runpod() as cloud:
        monkeypatch.setenv("RUNPOD_BASE_URL", cloud.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        yield cloud


@pytest.fixture
def instances(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vast]:
    with vast() as cloud:
        monkeypatch.setenv("VAST_BASE_URL", cloud.url)
        monkeypatch.setenv("VAST_API_KEY", KEY)
        yield cloud


def rented(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--workspace", str(workspace.root), "rented", *arguments])


def data(workspace: Workspace, *arguments: str) -> Any:
    done = rented(workspace, *arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.stdout)


def run_on(workspace: Workspace, provider: str, identity: str = "20261130-101010-train-abcd") -> Run:
    """A run that was to work on a machine of this provider."""
    job = msgspec.structs.replace(
        run_stories.train_job(workspace), elsewhere=Box(provider=provider, gpu="4090", max_hours=2.0)
    )
    return supervisor.create(workspace, job, "tiny on rust@1", identity=identity)


def left_behind(run: Run, cloud: Cloud) -> str:
    """The run has rented a machine and was killed: nothing of it got to say a last word."""
    label = f"lora-tui/{run.id}"
    box = cloud.add(label, 0.34, {"disk": 60, "ports": ["22/tcp"]}, what="NVIDIA GeForce RTX 4090")
    provider = type(cloud).__name__.lower()
    log = journal.Journal(run.journal)
    log.write(journal.Hiring(provider=provider, label=label))
    log.write(journal.Hired(provider=provider, id=box.id, name="RTX 4090", price_per_hour=0.34, max_hours=2.0))
    log.close()
    return box.id


def test_offers_of_both_come_cheapest_first(workspace: Workspace, pods: RunPod, instances: Vast) -> None:
    found = data(workspace, "offers", "--gpu", "4090")
    assert [offer["provider"] for offer in found] == ["vast", "runpod", "vast", "vast", "runpod"]
    prices = [offer["price_per_hour"] for offer in found]
    assert prices == sorted(prices)
    assert pods.boxes == instances.boxes == []
    text = rented(workspace, "offers", "--gpu", "4090").output
    assert "$0.308" in text
    assert "Norway" in text


def test_offers_are_filtered_by_price_memory_number_and_provider(
    workspace: Workspace, pods: RunPod, instances: Vast
) -> None:
    assert all(offer["price_per_hour"] <= 0.35 for offer in data(workspace, "offers", "--max-price", "0.35"))
    assert {offer["gpu"] for offer in data(workspace, "offers", "--memory", "48", "--provider", "vast")} == {
        "A100 PCIE"
    }
    (four,) = data(workspace, "offers", "--gpus", "4", "--provider", "vast")
    assert four["gpus"] == 4
    pods.out_of_stock.update({"NVIDIA H100 80GB HBM3"})
    assert data(workspace, "offers", "--gpu", "H100", "--provider", "runpod") == []


def test_a_provider_that_fails_does_not_hide_the_others_offers(
    workspace: Workspace, pods: RunPod, instances: Vast
) -> None:
    instances.fail(403)
    done = rented(workspace, "offers", "--gpu", "4090")
    assert "runpod" in done.stdout
    assert "does not let this key do that" in done.stderr
    assert rented(workspace, "offers", "--provider", "vast").exit_code == 0
    instances.fail(403)
    assert isinstance(rented(workspace, "offers", "--provider", "vast").exception, LoraTuiError)


def test_without_a_key_it_says_which_there_are(workspace: Workspace) -> None:
    error = rented(workspace, "list").exception
    assert isinstance(error, BadInput)
    assert "RUNPOD_API_KEY or VAST_API_KEY" in error.fix


def test_a_machine_of_a_killed_run_is_listed_with_what_it_costs(workspace: Workspace, pods: RunPod) -> None:
    run = run_on(workspace, "runpod")
    identity = left_behind(run, pods)
    pods.boxes[0].created -= 3600
    (one,) = data(workspace, "list")
    assert (one["id"], one["run"], one["run_known"], one["run_works"]) == (identity, run.id, True, False)
    assert one["cost_usd"] == pytest.approx(0.34, rel=0.05)
    assert "its run does not work" in rented(workspace, "list").output


@pytest.mark.parametrize("which", ["runpod", "vast"])
def test_a_sweep_gives_back_and_closes_the_books(
    workspace: Workspace, which: str, request: pytest.FixtureRequest
) -> None:
    cloud: Cloud = request.getfixturevalue("pods" if which == "runpod" else "instances")
    run = run_on(workspace, which)
    identity = left_behind(run, cloud)
    cloud.boxes[0].created -= 600
    assert data(workspace, "sweep")["kept"][0]["id"] == identity, "without a terminal nothing is ended unasked"
    assert [one["id"] for one in data(workspace, "sweep", "--yes")["ended"]] == [identity]
    assert cloud.living == []
    released = [e for e in journal.JournalReader(run.journal).read() if isinstance(e, journal.Released)]
    assert [one.id for one in released] == [identity]
    assert released[0].seconds == pytest.approx(600, abs=10)
    assert sweep.unsettled(workspace) == set()
    assert rented(workspace, "sweep").output.strip() == "nothing was left behind"


def test_a_provider_that_does_not_answer_keeps_no_other_machine_from_going(
    workspace: Workspace, pods: RunPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(run_on(workspace, "runpod"), pods)
    monkeypatch.setenv("VAST_API_KEY", "not-theirs")
    with vast() as other:
        monkeypatch.setenv("VAST_BASE_URL", other.url)
        listed = rented(workspace, "list", "--json")
        assert [one["provider"] for one in json.loads(listed.stdout)] == ["runpod"]
        assert "vast: what is rented there is not known" in listed.stderr
        assert isinstance(listed.exception, LoraTuiError)
        swept = rented(workspace, "sweep", "--yes", "--json")
        assert len(json.loads(swept.stdout)["ended"]) == 1
        assert isinstance(swept.exception, LoraTuiError)
        assert "not-theirs" not in swept.output
    assert pods.living == []


def test_ctrl_c_in_a_sweep_tells_what_was_given_back_by_then(
    workspace: Workspace, pods: RunPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        left_behind(run_on(workspace, "runpod", f"20261130-101010-train-00{number}"), pods)
    answers: list[bool] = [True]

    def answer(question: str, yes: bool) -> bool:
        if answers:
            return answers.pop()
        raise click.Abort

    monkeypatch.setattr("lora_tui.cli.rented.confirmed", answer)
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("lora_tui.cli.rented.sys", SimpleNamespace(stdin=terminal, stderr=terminal))
    swept = rented(workspace, "sweep", "--json")
    assert swept.exit_code == 1
    assert {name: len(found) for name, found in json.loads(swept.stdout).items()} == {
        "ended": 1,
        "kept": 2,
        "failed": 0,
    }
    assert len(pods.living) == 2


def test_a_sweep_leaves_the_machine_of_a_living_run_alone(workspace: Workspace, pods: RunPod) -> None:
    run = run_on(workspace, "runpod")
    left_behind(run, pods)
    child = run_stories.living(run)
    try:
        assert data(workspace, "sweep", "--yes")["ended"] == []
        assert len(pods.living) == 1
        assert data(workspace, "list")[0]["run_works"]
    finally:
        child.kill()
        child.wait()


def test_a_sweep_sees_other_peoples_machines_as_none_of_its_business(workspace: Workspace, pods: RunPod) -> None:
    pods.add("my notebook", 0.3, {"ports": []}, what="NVIDIA GeForce RTX 4090")
    strange = pods.add("lora-tui/of-another-computer", 0.3, {"ports": []}, what="NVIDIA GeForce RTX 4090")
    (one,) = data(workspace, "sweep")["kept"]
    assert one["id"] == strange.id
    assert not one["run_known"]
    error = rented(workspace, "end", pods.boxes[0].id, "--yes").exception
    assert isinstance(error, BadInput), "what is not ours is not ended"
    assert rented(workspace, "end", strange.id, "--yes").exit_code == 0
    assert [box.label for box in pods.living] == ["my notebook"]


def test_a_label_does_not_lead_out_of_the_workspace(workspace: Workspace, pods: RunPod) -> None:
    pods.add("lora-tui/../runs", 0.3, {"ports": []}, what="NVIDIA GeForce RTX 4090")
    assert data(workspace, "sweep", "--yes")["ended"][0]["run_known"] is False
    assert pods.living == []


def test_a_machine_is_ended_by_its_runs_name(workspace: Workspace, instances: Vast) -> None:
    run = run_on(workspace, "vast")
    left_behind(run, instances)
    assert f"{run.id}" in str(data(workspace, "end", run.id, "--yes"))
    assert instances.living == []


def test_what_ended_itself_is_booked_by_a_sweep(workspace: Workspace, pods: RunPod) -> None:
    run = run_on(workspace, "runpod")
    left_behind(run, pods)
    pods.boxes[0].ended = pods.clock()
    assert sweep.unsettled(workspace) == {"runpod"}
    data(workspace, "sweep")
    assert sweep.unsettled(workspace) == set()


def test_a_start_asks_nobody_where_nothing_is_open(workspace: Workspace, pods: RunPod) -> None:
    run_on(workspace, "runpod")
    run_stories.write_finished(workspace)
    assert sweep.left_over_by_the_way(workspace) == []
    assert pods.seen == []


def test_a_start_finds_what_a_kill_left_and_is_silent_where_nobody_answers(workspace: Workspace, pods: RunPod) -> None:
    identity = left_behind(run_on(workspace, "runpod"), pods)
    assert [one.machine.id for one in sweep.left_over_by_the_way(workspace)] == [identity]
    pods.fail("cut")
    pods.seen.clear()
    assert sweep.left_over_by_the_way(workspace) == []
    assert len(pods.seen) == 1, "asked once"


def test_doctor_tells_of_machines_without_a_run(workspace: Workspace, pods: RunPod) -> None:
    left_behind(run_on(workspace, "runpod"), pods)
    done = CliRunner().invoke(cli, ["--workspace", str(workspace.root), "doctor", "--json"])
    (told,) = [item for item in json.loads(done.stdout) if item["what"] == "rented from runpod"]
    assert (told["state"], told["found"]) == ("note", "1 machine")
    assert "rented sweep" in told["fix"]


def test_nothing_that_is_printed_or_written_holds_the_key(workspace: Workspace, pods: RunPod, tmp_path: Path) -> None:
    run = run_on(workspace, "runpod")
    left_behind(run, pods)
    pods.fail(*[403] * 4)
    said = [
        rented(workspace, *words) for words in (["list"], ["list", "--json"], ["sweep"], ["offers"], ["sweep", "--yes"])
    ]
    assert all(KEY not in done.output + repr(done.exception) for done in said)
    written = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in written)


def test_a_kill_says_that_what_was_rented_costs_on(workspace: Workspace, pods: RunPod) -> None:
    run = run_on(workspace, "runpod")
    left_behind(run, pods)
    child = run_stories.living(run)
    words = ["--workspace", str(workspace.root), "runs", "stop", run.id, "--now", "--wait", "0.2"]
    asked = CliRunner().invoke(cli, words)  # whoever conducts it may still end it there and give the machine back
    assert child.poll() is None
    assert "ask again with --now" in str(asked.exception)
    done = CliRunner().invoke(cli, words)
    child.wait()
    assert f"lora-tui rented end {run.id}" in done.stderr
    assert len(pods.living) == 1


def test_a_missing_key_for_the_upload_is_said_before_anything_is_asked_for(
    workspace: Workspace, pods: RunPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    dataset = run_stories.write_dataset(workspace)
    wish = train_elsewhere.Asked("runpod", "tiny", Overlay(), dataset, yes=True, gpu="4090", to_together=True)
    with pytest.raises(BadInput, match="TOGETHER_API_KEY"):
        train_elsewhere.rented(Cli(str(workspace.root)), wish)
    assert pods.seen == []


@pytest.mark.parametrize(("asked", "cap"), [(None, 0.385), (0.9, 0.9)])
def test_the_next_offer_is_held_to_the_price_that_was_agreed_to(
    workspace: Workspace, instances: Vast, monkeypatch: pytest.MonkeyPatch, asked: float | None, cap: float
) -> None:
    boxes: list[Box] = []
    monkeypatch.setattr(train_elsewhere, "_created", lambda cli, asked, box, processes: boxes.append(box))
    monkeypatch.setattr(train_elsewhere, "started", lambda *_: None)
    run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    wish = train_elsewhere.Asked("vast", "tiny", Overlay(), dataset, yes=True, max_price=asked, gpu="4090")
    train_elsewhere.rented(Cli(str(workspace.root)), wish)
    assert [round(box.max_price, 3) for box in boxes] == [cap]


def test_that_a_token_goes_along_for_a_base_that_is_fetched_there_is_said_before_anything_is_rented(
    workspace: Workspace, instances: Vast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted_by_the_tests")
    monkeypatch.setattr(train_elsewhere, "_created", lambda *_: None)
    monkeypatch.setattr(train_elsewhere, "started", lambda *_: None)
    run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    for profile, said in (("gerbil", True), ("tiny", False)):
        wish = train_elsewhere.Asked("vast", profile, Overlay(), dataset, yes=True, gpu="4090")
        train_elsewhere.rented(Cli(str(workspace.root)), wish)
        told = "".join(capsys.readouterr())
        assert ("HF_TOKEN goes along: Qwen/Qwen2.5-Coder-7B-Instruct is fetched there" in told) == said
        assert "hf_planted" not in told
