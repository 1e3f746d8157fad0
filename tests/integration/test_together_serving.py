"""An adapter of this machine at Together: registered, uploaded, served, and taken down again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.together import CUT, DONE_THEN_CUT, FakeTogether
from fakes.together_jobs import adapter_files
from lora_tui.backends.together import deploy
from lora_tui.backends.together.client import ServiceError, connected, in_project
from lora_tui.backends.together.endpoints import torn_down
from lora_tui.backends.together.registry_upload import upload_adapter
from lora_tui.cli.main import run as command
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from together_runs import conducted, dataset_of, run_of, service

BASE = "Qwen/Qwen2.5-7B-Instruct"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "adapter"
    path.mkdir()
    for name, data in adapter_files().items():
        (path / name).write_bytes(data)
    return path


def test_an_adapter_is_uploaded_once_and_a_second_upload_sends_nothing(
    folder: Path, fake: FakeTogether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_tui.backends.together.registry_upload.PART", 4096)
    identity = upload_adapter(folder, "mine", BASE)
    parts = {place: data for place, data in fake.serving.parts.items() if "safetensors" in place}
    assert len(parts) > 2
    assert b"".join(parts.values()) == adapter_files()["adapter_model.safetensors"]
    puts = sum(number for call, number in fake.calls.items() if call.startswith("PUT"))
    assert upload_adapter(folder, "mine", BASE) == identity
    assert sum(number for call, number in fake.calls.items() if call.startswith("PUT")) == puts
    assert list(fake.serving.models) == [identity]
    assert fake.leaks == []


def test_a_model_of_that_name_which_another_project_shares_is_not_written_to(folder: Path, fake: FakeTogether) -> None:
    theirs = upload_adapter(folder, "mine", BASE)
    fake.serving.models[theirs] |= {"projectId": "proj_2", "name": "them/mine"}
    files = dict(fake.serving.revisions[theirs])
    (folder / "adapter_config.json").write_text('{"r": 4}')
    assert upload_adapter(folder, "mine", BASE) != theirs
    assert fake.serving.revisions[theirs] == files


def test_a_part_that_the_store_does_not_take_at_once_is_sent_again(folder: Path, fake: FakeTogether) -> None:
    fake.fail("part", 500, times=2)
    fake.fail("part", CUT, times=2)
    identity = upload_adapter(folder, "mine", BASE)
    assert set(fake.serving.revisions[identity]) == set(adapter_files())


def test_the_project_that_is_named_in_the_environment_is_worked_in(
    fake: FakeTogether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGETHER_PROJECT_ID", "proj_named")  # a key of an organization belongs to no project
    assert in_project(connected()).project_id == "proj_named"
    assert not fake.calls


@pytest.mark.parametrize("address", ["http://together.example", "https://me:secret@together.example", "together"])
def test_the_key_goes_to_no_address_it_could_be_read_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "planted")
    monkeypatch.setenv("TOGETHER_BASE_URL", address)
    with pytest.raises(BadInput, match="TOGETHER_BASE_URL") as caught:
        connected()
    assert "secret" not in str(caught.value)


def test_a_base_that_serves_no_adapters_is_said(folder: Path, fake: FakeTogether) -> None:
    with pytest.raises(BadInput, match=r"serves no adapters on Qwen/Qwen2\.5-Coder-7B-Instruct"):
        upload_adapter(folder, "mine", "Qwen/Qwen2.5-Coder-7B-Instruct")
    assert fake.serving.models == {}


def test_a_deployment_answers_stops_by_itself_and_is_gone_after_the_teardown(folder: Path, fake: FakeTogether) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    made: list[str] = []
    served = deploy.deployed(client, adapter, BASE, "ours", inactive_timeout=45, made=lambda kind, _: made.append(kind))
    assert made == ["endpoint", "deployment"]
    assert served.price_per_hour == 3.99
    assert served.cost(1800) == pytest.approx(1.995)
    (deployment,) = fake.serving.deployments.values()
    assert deployment["inactiveTimeout"] == 45
    answer = client.chat.completions.create(model=served.model, messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "I am me/mine"
    assert torn_down(client, "ours") == [served.deployment, served.endpoint]
    assert fake.serving.endpoints == fake.serving.deployments == {}
    assert torn_down(client, "ours") == []


@pytest.mark.parametrize("minutes", [0, 29, 1441])
def test_nothing_is_deployed_without_a_timeout(folder: Path, fake: FakeTogether, minutes: int) -> None:
    with pytest.raises(BadInput, match="30 to 1440 minutes"):
        deploy.deployed(in_project(connected()), "ml_1", BASE, "ours", inactive_timeout=minutes)
    assert fake.serving.endpoints == {}


def test_what_does_not_get_ready_is_taken_down_and_costs_nothing(
    folder: Path, fake: FakeTogether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_READY_SECONDS", 0.05)
    fake.serving.never_ready = True
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    with pytest.raises(LoraTuiError, match="the deployment is provisioning"):
        deploy.deployed(client, adapter, BASE, "ours")
    assert fake.serving.running == []
    assert fake.serving.endpoints == {}


@pytest.mark.parametrize("error", [403, 500, CUT, DONE_THEN_CUT])
@pytest.mark.parametrize("call", ["models", "deployment", "ready", "traffic", "load"])
def test_whatever_fails_on_the_way_nothing_is_left_that_costs(
    folder: Path, fake: FakeTogether, call: str, error: int | str
) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    fake.fail(call, error, times=3)  # as often as the SDK tries
    with pytest.raises(ServiceError):
        deploy.deployed(client, adapter, BASE, "ours")
    assert fake.serving.running == []
    assert fake.serving.endpoints == fake.serving.deployments == {}


def test_what_cannot_be_taken_down_is_said_with_the_way_to_do_it(folder: Path, fake: FakeTogether) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    fake.fail("traffic", 403, times=100)
    fake.fail("endpoints", 500, times=100)
    with pytest.raises(LoraTuiError) as caught:
        deploy.deployed(client, adapter, BASE, "ours")
    assert "it may cost" in caught.value.what
    assert caught.value.fix.endswith("lora-tui together teardown ep_1")
    fake.mend()
    assert torn_down(client, "ep_1") == ["dep_1", "ep_1"]


def test_an_endpoint_of_that_name_is_not_taken_down_for_one_that_could_not_be_made(
    folder: Path, fake: FakeTogether
) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    first = deploy.deployed(client, adapter, BASE, "ours")
    with pytest.raises(BadInput, match="there is an endpoint ours already") as caught:
        deploy.deployed(client, adapter, BASE, "ours")
    assert "lora-tui together teardown ours" in caught.value.fix
    assert fake.serving.running == [first.deployment]
    torn_down(client, "ours")


def test_an_endpoint_is_taken_down_by_its_name_with_and_without_the_projects(folder: Path, fake: FakeTogether) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    for name in ("ours", "me/ours", "ep_1"):
        deploy.deployed(client, adapter, BASE, "ours")
        assert torn_down(client, name) == ["dep_1", "ep_1"], name
        assert fake.serving.endpoints == fake.serving.deployments == {}


def test_what_cannot_be_deleted_costs_nothing_all_the_same(folder: Path, fake: FakeTogether) -> None:
    client = in_project(connected())
    deploy.deployed(client, upload_adapter(folder, "mine", BASE), BASE, "ours")
    fake.fail("traffic", 403, times=100)
    with pytest.raises(ServiceError, match="does not allow"):
        torn_down(client, "ours")
    assert fake.serving.running == []


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_while_it_gets_ready_takes_it_down_and_a_second_one_says_how(
    folder: Path, fake: FakeTogether, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)

    def interrupted(seconds: float) -> None:
        nonlocal signals
        signals -= 1
        if signals >= 0:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    if signals == 1:
        with pytest.raises(KeyboardInterrupt):
            deploy.deployed(client, adapter, BASE, "ours")
        assert fake.serving.endpoints == fake.serving.deployments == {}
    else:
        with pytest.raises(LoraTuiError, match="it may cost") as caught:
            deploy.deployed(client, adapter, BASE, "ours")
        assert caught.value.fix.endswith("lora-tui together teardown ep_1")
    assert fake.serving.running == []


def test_a_teardown_of_all_goes_on_after_one_that_fails_and_needs_no_price_list(
    folder: Path, fake: FakeTogether, capsys: pytest.CaptureFixture[str]
) -> None:
    client = in_project(connected())
    adapter = upload_adapter(folder, "mine", BASE)
    for name in ("lora-tui-a", "lora-tui-b", "somebody-elses"):
        deploy.deployed(client, adapter, BASE, name)
    fake.fail("traffic", 403, times=1)
    fake.fail("hardware", 500, times=100)
    assert command(["together", "teardown", "--all", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"ep_2": ["dep_2", "ep_2"]}
    assert [item["name"] for item in fake.serving.endpoints.values()] == ["me/lora-tui-a", "me/somebody-elses"]
    assert fake.serving.running == ["dep_3"]


def test_the_commands_say_what_lies_there_upload_deploy_and_tear_down(
    workspace: Workspace, tmp_path: Path, fake: FakeTogether, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> Any:
        assert command(["--workspace", str(workspace.root), "together", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    run = run_of(workspace, dataset_of(workspace, tmp_path))
    assert conducted(run).state == "finished"
    assert "Qwen/Qwen3-8B" in [item["name"] for item in said("models")]
    assert [item["filename"] for item in said("files")] == ["train.jsonl", "validation.jsonl"]
    (job,) = said("jobs")
    assert (job["status"], job["suffix"]) == ("completed", run.id)
    assert command(["together", "jobs"]) == 0
    assert run.id in capsys.readouterr().out
    assert said("upload", "small") == {"adapter": "small@1.0.0", "model": "ml_of_ft-1"}  # it was trained there
    assert fake.serving.models == {}
    uploaded = said("upload", "small", "--base", BASE, "--name", "copy")
    assert fake.serving.models[uploaded["model"]]["name"] == "me/copy"
    served = said("deploy", "small", "--base", BASE, "--yes")
    assert served["adapter"] == "ml_of_ft-1"
    (meter,) = said("endpoints")
    assert (meter["name"], meter["state"], meter["price_per_hour"]) == ("me/lora-tui-small-1-0-0", "ready", 3.99)
    assert 0 <= meter["cost"] < 1
    assert said("teardown", "--all") == {served["endpoint"]: [served["deployment"], served["endpoint"]]}
    assert fake.serving.running == []
    assert command(["--workspace", str(workspace.root), "together", "deploy", "small", "--base", BASE]) == 2
    assert "costs money" in capsys.readouterr().err


def test_a_job_is_cancelled_by_its_id(fake: FakeTogether, workspace: Workspace, tmp_path: Path) -> None:
    run = run_of(workspace, dataset_of(workspace, tmp_path))
    assert conducted(run).state == "finished"
    assert command(["together", "jobs", "cancel", "ft-1"]) == 0
    assert fake.jobs.jobs["ft-1"].status == "cancel_requested"
