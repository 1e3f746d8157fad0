"""A run at Together from the dataset to the adapter, with the real SDK against a service on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.together import KEY, FakeTogether
from lora_tui.adapters import registry
from lora_tui.cli.main import run as command
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal, supervisor
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from together_runs import PROFILE, dataset_of, done, events, lies_there, run_of, service


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as found:
        yield found


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    return dataset_of(workspace, tmp_path)


def test_a_dataset_becomes_an_adapter_in_the_registry_with_its_loss_curve_in_the_journal(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    view = done(run)
    assert view.state == "finished", view.failure
    assert [item.step for item in view.metrics] == list(range(1, 13))
    assert view.metrics[-1].loss < view.metrics[0].loss
    assert [item.step for item in view.evaluations] == [4, 8, 12]
    assert [item.step for item in view.checkpoints] == [4, 8, 12]
    assert view.total_steps == 12
    (adapter,) = registry.adapters(workspace)
    assert adapter.metadata.base == PROFILE.model.base
    assert adapter.metadata.steps == 12
    assert registry.damaged_files(adapter) == []
    (job,) = fake.jobs.jobs.values()
    assert job.asked["training_type"]["lora_r"] == 8
    assert job.asked["from_hf_model"] == PROFILE.model.base
    assert job.asked["n_epochs"] == 3
    charged = [(event.amount, event.estimated) for event in events(run) if isinstance(event, journal.Charged)]
    assert charged == [(3.3, True), (3.3, False)]
    assert set(lies_there(run)) == {"training file", "validation file", "job", "model"}
    assert fake.leaks == []
    written = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in written)


def refuse(*_: object, **__: object) -> None:
    raise LoraTuiError("no tokenizer of that base on this machine")


def test_the_command_prices_asks_for_consent_trains_and_registers(
    workspace: Workspace,
    dataset: Dataset,
    fake: FakeTogether,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(*words: str) -> tuple[int, str]:
        given = ["--workspace", str(workspace.root), "train", "gerbil", "--dataset", "small", "--backend", "together"]
        code = command([*given, *words])
        return code, capsys.readouterr().err

    monkeypatch.setattr("lora_tui.backends.audits.ensure", refuse)
    code, told = said()
    assert (code, "nobody is there to be asked" in told) == (2, True)
    assert not fake.calls
    code, told = said("--max-price", "3")
    assert (code, "more than --max-price 3" in told) == (2, True)
    assert fake.jobs.jobs == {}
    code = command(["--workspace", str(workspace.root), "runs", "resume"])  # the one that was too dear
    assert (code, "nobody has agreed yet to what it would cost, $3.30" in capsys.readouterr().err) == (1, True)
    assert fake.jobs.jobs == {}
    code, told = said("--max-price", "4")
    assert code == 0, told
    assert "Together estimates $3.30 for 5,000 tokens trained on, 100 evaluated; the account may spend $25.00" in told
    assert "not audited: no tokenizer of that base on this machine" in told
    assert "adapter gerbil@1.0.0" in told
    (job,) = fake.jobs.jobs.values()
    assert job.asked["training_type"]["lora_alpha"] == 32


def test_asked_on_a_terminal_a_no_starts_nothing_and_the_run_can_be_started_later(
    workspace: Workspace,
    dataset: Dataset,
    fake: FakeTogether,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def no(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("lora_tui.backends.audits.ensure", refuse)
    monkeypatch.setattr("lora_tui.cli.train_elsewhere._watched", lambda: True)
    monkeypatch.setattr("click.confirm", no)
    given = ["--workspace", str(workspace.root), "train", "gerbil", "--dataset", "small", "--backend", "together"]
    assert command(given) == 0
    assert asked == ["Start? It will cost about $3.30."]
    assert fake.jobs.jobs == {}
    assert command(["--workspace", str(workspace.root), "runs", "resume", "--detach"]) == 0
    assert supervisor.wait(supervisor.find(workspace, "latest"), 60)
    assert [item.label for item in registry.adapters(workspace)] == ["gerbil@1.0.0"]
