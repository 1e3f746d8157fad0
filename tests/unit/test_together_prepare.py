"""What is settled before a run at Together costs anything: the base, the limits, what its engine does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.together import FakeTogether
from lora_tui.backends.together import prepare, settings
from lora_tui.backends.together.client import connected
from lora_tui.backends.together.limits import Limits, LoraLimits
from lora_tui.backends.together.training_files import validated
from lora_tui.dataset import versions
from lora_tui.dataset.describe import sha256
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal
from lora_tui.jobs.job import Together
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Lora, Model, Profile, load_profile
from secret_values import filled
from together_runs import PROFILE, conducted, dataset_of, run_of, service

LIMITS = Limits(
    model_name="Qwen/Qwen2.5-7B-Instruct",
    lora_training=LoraLimits(
        max_rank=64, min_batch_size=8, max_batch_size=16, target_modules=("q_proj", "k_proj", "v_proj", "o_proj")
    ),
    max_num_epochs=20,
    max_num_evals=100,
    max_num_checkpoints=10,
    min_learning_rate=1e-8,
    max_learning_rate=0.1,
    max_seq_length_sft=32768,
    min_max_seq_length=256,
)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as found:
        yield found


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    return dataset_of(workspace, tmp_path)


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LoraTuiError("the engine is not installed")

    monkeypatch.setattr("lora_tui.backends.audits.ensure", refuse)


def with_(profile: Profile, table: str, **values: Any) -> Profile:
    inside = msgspec.structs.replace(getattr(profile, table), **values)
    return msgspec.structs.replace(profile, **{table: inside})


@pytest.mark.parametrize(
    ("table", "values", "word"),
    [
        ("lora", {"r": 128}, "lora.r: the most at Together is 64, not 128"),
        ("lora", {"target_modules": ("q_proj", "lm_head")}, "lora.target_modules: Together adapts no lm_head"),
        ("lora", {"use_dora": True}, "lora.use_dora: Together's engine does not have it"),
        ("training", {"num_train_epochs": 1.5}, "training.num_train_epochs: Together trains whole epochs"),
        ("training", {"num_train_epochs": 50}, "training.num_train_epochs: the most at Together is 20"),
        ("training", {"max_steps": 100}, "training.max_steps"),
        ("training", {"learning_rate": 0.5}, "training.learning_rate: Together allows 1e-08 to 0.1"),
        ("training", {"max_length": 65536}, "training.max_length: the most at Together is 32768"),
        ("training", {"max_length": 16}, "training.max_length: the least at Together is 256"),
        ("training", {"per_device_train_batch_size": 4}, "4 rows a step, and Together's batches have 8 to 16"),
        ("training", {"lr_scheduler_type": "polynomial"}, "training.lr_scheduler_type"),
        ("training", {"warmup_steps": 20}, "training.warmup_steps"),
        ("forgetting", {"kl": 0.1}, "forgetting.kl"),
    ],
)
def test_what_together_does_not_allow_is_refused_with_the_key_and_the_limit(
    table: str, values: dict[str, Any], word: str
) -> None:
    with pytest.raises(BadInput) as caught:
        settings.refuse(with_(PROFILE, table, **values), LIMITS)
    assert word in str(caught.value)


@pytest.mark.parametrize(("per_device", "gathered", "asked"), [(2, 4, (8, 1)), (4, 8, (16, 2)), (8, 5, (10, 4))])
def test_the_rows_of_a_step_stay_those_of_the_profile(per_device: int, gathered: int, asked: tuple[int, int]) -> None:
    profile = with_(PROFILE, "training", per_device_train_batch_size=per_device, gradient_accumulation_steps=gathered)
    assert settings.batch(profile, LIMITS) == asked


def test_gerbil_asks_together_for_alpha_32_on_the_shape_of_its_base(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, no_engine: None
) -> None:
    gerbil = load_profile(workspace, "gerbil", backend="together")
    job, warnings = prepare.prepared(connected(), workspace, gerbil, dataset, identity="20261130-120000-train-ab12")
    there = job.elsewhere
    assert isinstance(there, Together)
    assert (there.model, there.from_hf_model) == ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-Coder-7B-Instruct")
    assert there.suffix == "20261130-120000-train-ab12"
    assert there.n_evals == 3
    asked = settings.arguments(job.profile, LIMITS)
    assert (asked["lora_r"], asked["lora_alpha"], asked["batch_size"]) == (16, 32, 8)
    assert asked["lora_trainable_modules"] == "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    told = [warning.message for warning in warnings]
    assert "not audited: the engine is not installed" in told
    assert any("Together has no Qwen/Qwen2.5-Coder-7B-Instruct of its own" in message for message in told)
    assert fake.jobs.files == {}


@pytest.mark.parametrize(
    ("base", "word"),
    [
        ("mistralai/Devstral-Small-2507", "nor a base of its shape"),
        ("demo", "knows bases by their Hugging Face names"),
    ],
)
def test_a_base_that_together_does_not_have_is_said_with_the_ways_there_are(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, no_engine: None, base: str, word: str
) -> None:
    profile = msgspec.structs.replace(PROFILE, model=Model(base=base), lora=Lora(r=8))
    with pytest.raises(BadInput) as caught:
        prepare.prepared(connected(), workspace, profile, dataset, identity="x")
    assert word in caught.value.what
    assert "[backends.together.model]" in caught.value.fix


def test_a_secret_in_the_dataset_stops_before_anything_is_uploaded_and_names_the_row(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    secret, _ = filled("ghp_{a36}")
    path = dataset.folder / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["messages"][0]["content"] = f"Push with\n{secret}"  # as another program could have written it
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = msgspec.structs.replace(dataset.manifest, files={**dataset.manifest.files, "train.jsonl": sha256(path)})
    (dataset.folder / versions.MANIFEST).write_text(toml.dump(manifest))
    run = run_of(workspace, dataset)
    view = conducted(run)
    assert "secrets in 1 rows" in view.failure
    assert rows[3]["id"] in view.failure
    assert secret not in view.failure
    assert fake.jobs.files == {}


def test_a_key_that_is_not_set_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    with pytest.raises(BadInput, match="TOGETHER_API_KEY"):
        connected()


def test_rows_that_together_cannot_take_are_counted_in_the_journal(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    from lora_tui.backends.together.stay import Stay

    run = run_of(workspace, dataset)
    log = journal.Journal(run.journal)
    stay = Stay(connected(), run, log)
    validated(stay)
    log.close()
    notes = [item.message for item in journal.JournalReader(run.journal).read() if isinstance(item, journal.Note)]
    assert "Together has validated train.jsonl: 20 rows, conversation" in notes
    assert set(stay.known.files.values()) == {"file-1", "file-2"}


def test_early_stopping_is_asked_for_with_the_evaluations_it_needs(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, no_engine: None
) -> None:
    profile = with_(PROFILE, "training", early_stopping_patience=4, early_stopping_threshold=0.01)
    job, _ = prepare.prepared(connected(), workspace, profile, dataset, identity="20261130-120000-train-ab12")
    there = job.elsewhere
    assert isinstance(there, Together)
    run = run_of(workspace, dataset, profile, n_evals=there.n_evals)
    assert conducted(run).state == "finished"
    (made,) = fake.jobs.jobs.values()
    asked = {key: value for key, value in made.asked.items() if key.startswith(("early", "n_evals"))}
    assert asked == {
        "n_evals": 6,
        "early_stopping_enabled": True,
        "early_stopping_patience": 4,
        "early_stopping_min_delta": 0.01,
    }


def test_a_run_without_validation_rows_asks_for_no_evaluation(
    workspace: Workspace, fake: FakeTogether, tmp_path: Path
) -> None:
    dataset = dataset_of(workspace, tmp_path, validation=False)
    assert settings.evaluations(PROFILE, LIMITS, validation=False) == 0
    view = conducted(run_of(workspace, dataset, n_evals=0))
    assert view.state == "finished", view.failure
    assert view.evaluations == []
    assert len(fake.jobs.files) == 1
