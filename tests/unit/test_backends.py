"""What is refused before a run starts, and what it is said to need."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import msgspec
import pytest

import run_stories
from lora_tui.backends import bases, local, plan
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.audit import Finding
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile, load_profile


def test_an_optimizer_that_is_not_installed_is_refused_before_anything_is_loaded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    nothing = Dataset(folder=workspace.root, manifest=None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="adamw_8bit needs bitsandbytes") as caught:
        local.train(workspace, load_profile(workspace, "build-rust"), nothing)
    assert "lora-tui[quant]" in caught.value.fix
    assert supervisor.runs(workspace) == []


def test_a_dataset_that_was_changed_after_it_was_built_is_not_trained_on(workspace: Workspace) -> None:
    profile = run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    built = run_stories.write_dataset(workspace)
    known = hashlib.sha256((built.folder / "train.jsonl").read_bytes()).hexdigest()
    dataset = msgspec.structs.replace(
        built, manifest=msgspec.structs.replace(built.manifest, files={"train.jsonl": known})
    )
    (dataset.folder / "train.jsonl").write_text("{}\n")
    for refused in (local.train, plan.plan):
        with pytest.raises(BadInput, match=r"changed since it was built: train\.jsonl") as caught:
            refused(workspace, profile, dataset)
        assert "lora-tui dataset build rust" in caught.value.fix
    assert supervisor.runs(workspace) == []


def test_what_was_counted_for_other_content_is_not_taken_for_a_dataset(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    assert plan.plan(workspace, profile, dataset).audited.train.rows == 31

    counted_again: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", counted_again.append)
    other = msgspec.structs.replace(dataset, manifest=msgspec.structs.replace(dataset.manifest, hash="0" * 64))
    with pytest.raises(LoraTuiError):
        plan.plan(workspace, profile, other)
    assert len(counted_again) == 1


@pytest.mark.parametrize(
    ("base", "message"),
    [("demo", "has not been made yet"), ("./nothing", "holds no model"), ("/no/where", "holds no model")],
)
def test_a_base_that_is_no_model_is_refused(workspace: Workspace, base: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        bases.resolve(workspace, Profile(name="x", model=Model(base=base)))


def test_a_name_from_the_hub_is_left_to_the_engine(workspace: Workspace) -> None:
    profile = Profile(name="x", model=Model(base="Qwen/Qwen2.5-Coder-7B-Instruct"))
    assert bases.resolve(workspace, profile) == "Qwen/Qwen2.5-Coder-7B-Instruct"


def test_what_the_audit_forbids_is_refused_with_the_way_to_allow_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    leak = Finding("error", "suite-in-train", "2 rows say what a suite asks", ("5c1f", "77aa"), 2, "Build again.")
    run_stories.write_audit(workspace, findings=(leak,))
    with pytest.raises(BadInput, match=r"suite-in-train: 2 rows .* \(rows 5c1f, 77aa\)") as caught:
        local.train(workspace, profile, dataset)
    assert caught.value.fix == "Build again. To train in spite of it: --allow suite-in-train"
    monkeypatch.setattr(supervisor, "start", lambda run: None)
    run = local.train(workspace, profile, dataset, allow=["suite-in-train"])
    assert "allowed: suite-in-train" in run.journal.read_text()


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja", "generation_config.json", "config.json"])
def test_a_base_is_known_by_what_makes_tokens_of_a_conversation(tmp_path: Path, name: str) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    before = bases.fingerprint(str(tmp_path))
    (tmp_path / "model.safetensors").write_text("weights")
    assert bases.fingerprint(str(tmp_path)) == before
    (tmp_path / name).write_text("changed")
    assert bases.fingerprint(str(tmp_path)) != before


def test_a_base_from_the_hub_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert bases.fingerprint("lab/model") == "lab/model"
    (tmp_path / "models--lab--model" / "refs").mkdir(parents=True)
    (tmp_path / "models--lab--model" / "refs" / "main").write_text("abc123")
    assert bases.fingerprint("lab/model") == "lab/model@abc123"


def test_a_base_that_cannot_be_fetched_is_still_told_what_it_would_need(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = Profile(name="x", model=Model(base="Qwen/Qwen2.5-Coder-14B-Instruct"))
    dataset = run_stories.write_dataset(workspace)

    def unreachable(*asked: object, **told: object) -> None:
        raise LoraTuiError("cannot load the base's tokenizer", fix="Give an existing folder.")

    monkeypatch.setattr(plan.audits, "ensure", unreachable)
    with pytest.raises(LoraTuiError) as caught:
        plan.plan(workspace, profile, dataset)
    needs = re.search(r"^Give an existing folder\. By its shape it would need about (\d+\.\d) GiB", caught.value.fix)
    assert needs is not None
    assert float(needs[1]) > 14.8e9 * 2 / 1024**3  # its weights alone
    unknown = msgspec.structs.replace(profile, model=Model(base="lab/nobody-knows"))
    with pytest.raises(LoraTuiError) as caught:
        plan.plan(workspace, unknown, dataset)
    assert caught.value.fix == "Give an existing folder."
