"""The audit: what a run would train on, counted before it starts, and what stands in its way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.backends import amount, audits, counting, local, measure, plan
from lora_tui.dataset.model import Dataset, Manifest
from lora_tui.jobs import audit, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.view import RunView
from lora_tui.worker.__main__ import main
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile

pytestmark = pytest.mark.engine

THINGS = ("snow", "grass", "coal", "blood", "water", "stone", "light", "night", "sand", "leaf")


def row(identity: str, ask: str, answer: str | None) -> dict[str, Any]:
    """A row of one question, and an answer if there is one."""
    messages = [{"role": "user", "content": ask}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return {"id": identity, "messages": messages}


@pytest.fixture
def version(workspace: Workspace) -> Callable[..., Dataset]:
    """Writes small@1 with these rows in train, two more to validate and two to test."""

    def write(*rows: dict[str, Any]) -> Dataset:
        folder = workspace.datasets / "small" / "1"
        folder.mkdir(parents=True)
        others = [row(f"other-{thing}", f"Tell me of {thing}.", f"{thing} is {thing[::-1]}.") for thing in THINGS[6:]]
        splits = {"train": list(rows), "validation": others[:2], "test": others[2:]}
        for split, lines in splits.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        manifest = Manifest(
            name="small",
            version=1,
            created=1.0,
            hash="5" * 64,
            seed=1,
            split=(80, 10, 10),
            split_rule="",
            rows={split: len(lines) for split, lines in splits.items()},
            files={},
        )
        (folder / "manifest.toml").write_text(toml.dump(manifest))
        return Dataset(folder=folder, manifest=manifest)

    return write


@pytest.fixture
def profile(small_profile: Profile, tiny_base: Path, workspace: Workspace) -> Profile:
    """The small profile, with the tiny base; the workspace knows it too."""
    made = msgspec.structs.replace(small_profile, model=Model(base=str(tiny_base)))
    workspace.ensure()
    (workspace.profiles / "small.toml").write_text(toml.dump(made))
    return made


def answers() -> list[dict[str, Any]]:
    """Nine rows from short to long."""
    return [row(f"r{index}", f"Say {THINGS[index]}.", f"{THINGS[index]} " * (index + 1)) for index in range(9)]


def test_the_audit_counts_what_is_trained_on_and_lists_what_is_not(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.rows import read_rows
    from lora_tui.worker.tokenize import Tokens, tokenize

    dataset = version(*answers(), row("long", "Say snow.", "snow " * 900), row("mute", "Say it.", None))
    told: list[tuple[str, int, int]] = []
    result = audits.ensure(
        workspace,
        dataset,
        str(tiny_base),
        profile,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    made = tokenize(load_tokenizer(str(tiny_base)), read_rows(dataset.folder, "train"), "train", 256)
    kept = [item for item in made if isinstance(item, Tokens)]
    train = result.train
    assert (train.rows, result.rows) == (9, {"train": 11, "validation": 2, "test": 2})
    assert [(item.id, item.reason) for item in result.left_out] == [("long", "too_long"), ("mute", "no_loss")]
    assert result.longest == result.left_out[0].tokens > 256
    assert train.longest == max(len(item.input_ids) for item in kept) < 256
    assert train.most_loss_tokens == max(item.loss_tokens for item in kept)
    assert train.tokens == sum(len(item.input_ids) for item in kept)
    assert train.loss_tokens == sum(item.loss_tokens for item in kept) == sum(result.by_language.values())
    for bins in (train.lengths, train.losses, train.prompts):
        assert sum(item.rows for item in bins) == 9
    assert {item.code for item in result.findings} >= {"too-long", "no-loss"}
    assert ("count tokens", 15, 15) in told
    shape = json.loads((tiny_base / "config.json").read_text())
    assert (result.vocabulary, result.hidden_size, result.layers) == (
        shape["vocab_size"],
        shape["hidden_size"],
        shape["num_hidden_layers"],
    )


def test_a_second_audit_starts_no_process_and_leaves_no_run(
    workspace: Workspace,
    tiny_base: Path,
    profile: Profile,
    version: Callable[..., Dataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = version(*answers())
    assert audits.cached(workspace, dataset, str(tiny_base), profile) is None
    first = audits.ensure(workspace, dataset, str(tiny_base), profile)
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    assert audits.ensure(workspace, dataset, str(tiny_base), profile) == first
    assert audits.every(dataset) == [first]
    assert started == supervisor.runs(workspace) == []


def test_what_decides_an_audit_is_noticed_when_it_changes(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset], tmp_path: Path
) -> None:
    dataset = version(*answers())
    audits.ensure(workspace, dataset, str(tiny_base), profile)
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    assert audits.cached(workspace, dataset, str(base), profile) is not None  # the same tokenizer elsewhere
    template = base / "chat_template.jinja"
    template.write_text(template.read_text() + "{# #}")
    assert audits.cached(workspace, dataset, str(base), profile) is None
    shorter = msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, max_length=100))
    assert audits.cached(workspace, dataset, str(tiny_base), shorter) is None
    (workspace.profiles / "suites").mkdir()
    suite = workspace.profiles / "suites" / "mine.yaml"
    suite.write_text("tests: [{vars: {prompt: Write a function that counts the words of a long text}}]")
    assert audits.cached(workspace, dataset, str(tiny_base), profile) is None
    suite.unlink()
    assert audits.cached(workspace, dataset, str(tiny_base), profile) is not None
    other = msgspec.structs.replace(dataset, manifest=msgspec.structs.replace(dataset.manifest, hash="6" * 64))
    assert audits.cached(workspace, other, str(tiny_base), profile) is None


def test_an_audit_that_nobody_wants_any_more_leaves_nothing(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*answers())
    before = sorted(path.name for path in dataset.folder.iterdir())
    with pytest.raises(counting.Cancelled, match="stopped, nothing of it was kept"):
        audits.ensure(workspace, dataset, str(tiny_base), profile, cancelled=lambda: True)
    assert list(workspace.runs.iterdir()) == []
    assert sorted(path.name for path in dataset.folder.iterdir()) == before


def test_an_audit_whose_process_is_told_to_end_says_so_and_leaves_nothing(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*(row(f"r{n}", f"Say {n}.", f"{n} " * 200) for n in range(4000)))

    def end(stage: str, done: int, total: int) -> None:
        if stage == "count tokens" and done:
            (run,) = supervisor.runs(workspace)
            os.kill(toml.load(run.folder / "process.toml", supervisor.Process).pid, signal.SIGTERM)

    with pytest.raises(LoraTuiError, match="told to end"):
        audits.ensure(workspace, dataset, str(tiny_base), profile, progress=end)
    assert list(workspace.runs.iterdir()) == []
    assert not list((dataset.folder / audit.FOLDER).glob("*"))


def test_an_audit_whose_process_is_killed_says_so_and_the_next_one_succeeds(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*answers())

    def kill(stage: str, done: int, total: int) -> None:
        (run,) = supervisor.runs(workspace)
        supervisor.kill(run)

    with pytest.raises(LoraTuiError, match="killed, or out of memory"):
        audits.ensure(workspace, dataset, str(tiny_base), profile, progress=kill)
    assert not list((dataset.folder / audit.FOLDER).glob("*"))
    assert audits.ensure(workspace, dataset, str(tiny_base), profile).train.rows == 9


def test_two_audits_of_the_same_pair_at_once_say_the_same(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*answers())
    command = lora_tui(workspace, "dataset", "audit", "small", "--profile", "small", "--json")
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [0, 0], told
    one, other = ({**json.loads(said), "seconds": 0} for said, _ in told)
    assert one == other
    assert len(audits.every(dataset)) == 1
    assert list(workspace.runs.iterdir()) == []


def test_rows_that_were_changed_are_neither_counted_nor_trained_on(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    worker = [sys.executable, "-m", "lora_tui.worker"]  # which holds its run's lock to its end
    dataset = version(*answers())
    path = dataset.folder / "train.jsonl"
    built = hashlib.sha256(path.read_bytes()).hexdigest()
    dataset = msgspec.structs.replace(
        dataset, manifest=msgspec.structs.replace(dataset.manifest, files={"train.jsonl": built})
    )
    (dataset.folder / "manifest.toml").write_text(toml.dump(dataset.manifest))
    job = Train(profile=profile, base=str(tiny_base), dataset=str(dataset.folder), dataset_hash=dataset.manifest.hash)
    waiting = supervisor.create(workspace, job, "waits")
    path.write_text(path.read_text().replace("snow", "fire"))
    with pytest.raises(BadInput, match=r"changed since it was built: train\.jsonl"):
        audits.ensure(workspace, dataset, str(tiny_base), profile)
    assert audits.every(dataset) == []
    assert subprocess.run([*worker, str(waiting.folder / "job.toml")], check=False).returncode == 2
    assert "changed since this run was started: train.jsonl" in RunView.of(waiting).failure
    other = supervisor.create(workspace, msgspec.structs.replace(job, dataset_hash="6" * 64), "another")
    path.write_text(path.read_text().replace("fire", "snow"))
    assert subprocess.run([*worker, str(other.folder / "job.toml")], check=False).returncode == 2
    assert "another version is there" in RunView.of(other).failure


def test_an_audit_lists_the_first_rows_left_out_and_counts_all(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*answers(), *(row(f"mute-{n:05}", f"Say {n}.", None) for n in range(audit.LISTED + 200)))
    found = audits.ensure(workspace, dataset, str(tiny_base), profile)
    assert len(found.left_out) == audit.LISTED
    assert found.all_left_out == {"train": audit.LISTED + 200}
    assert found.number_left_out == audit.LISTED + 200
    (told,) = [item for item in found.findings if item.code == "no-loss"]
    assert (told.count, len(told.rows)) == (audit.LISTED + 200, audit.ROWS_NAMED)
    command = lora_tui(workspace, "dataset", "audit", "small", "--profile", "small")
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert f" {audit.LISTED + 200:,} " in said or f" {audit.LISTED + 200} " in said


def test_an_audit_that_fails_says_why(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    dataset = version(*answers())
    with (dataset.folder / "train.jsonl").open("a") as file:
        file.write("{half a row\n")
    with pytest.raises(LoraTuiError, match="not a row of a dataset") as caught:
        audits.ensure(workspace, dataset, str(tiny_base), profile)
    assert caught.value.where.endswith("train.jsonl:10")


def test_an_error_of_the_audit_forbids_training_unless_it_is_allowed_by_name(
    workspace: Workspace, profile: Profile, version: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = version(*answers(), row("typed", "What is <|im_end|>?", "A token."))
    with pytest.raises(BadInput, match="special-tokens-in-text") as caught:
        local.train(workspace, profile, dataset)
    assert "typed" in caught.value.what
    assert "--allow special-tokens-in-text" in caught.value.fix
    with pytest.raises(BadInput, match="no error called 'too-long'") as unknown:
        local.train(workspace, profile, dataset, allow=["too-long"])
    assert "twins-across-splits" in unknown.value.fix
    assert supervisor.runs(workspace) == []

    monkeypatch.setattr(supervisor, "start", lambda run: None)
    run = local.train(workspace, profile, dataset, allow=["special-tokens-in-text", "double-bos"])
    (found,) = supervisor.runs(workspace)
    assert isinstance(found.file.job, Train)
    assert found.file.job.allowed == ("special-tokens-in-text",)
    (warned,) = RunView.of(run).warnings
    assert warned.message.startswith("allowed: special-tokens-in-text")


def test_a_plan_shows_the_findings_with_errors_first(
    workspace: Workspace, profile: Profile, version: Callable[..., Dataset]
) -> None:
    made = plan.plan(
        workspace, profile, version(*answers(), row("mute", "Say it.", None), row("typed", "<|im_end|>?", "A token."))
    )
    assert [item.code for item in made.findings] == ["special-tokens-in-text", "no-loss"]
    assert made.steps == 12  # 10 rows: 5 batches of 2, 3 steps an epoch, 4 epochs


def test_the_plan_and_the_run_agree_on_steps_and_trainable_parameters(
    workspace: Workspace,
    tiny_base: Path,
    small_dataset: Path,
    small_profile: Profile,
    new_run: Callable[..., supervisor.Run],
) -> None:
    from safetensors import safe_open

    quick = msgspec.structs.replace(
        small_profile, training=msgspec.structs.replace(small_profile.training, num_train_epochs=0.5)
    )
    measured = measure.ensure(workspace, str(tiny_base), quick)
    run = new_run(profile=quick)
    assert main([str(run.folder / "job.toml")]) == 0
    assert RunView.of(run).total_steps == amount.steps_of(20, quick.training)
    with safe_open(run.folder / "adapter" / "adapter_model.safetensors", "pt") as file:
        saved = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert saved == measured.trainable < measured.parameters


def lora_tui(workspace: Workspace, *arguments: str) -> list[str]:
    """A command line of the real program in this workspace."""
    return [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments]


def test_dataset_audit_prints_findings_for_people_and_programs(
    workspace: Workspace, tiny_base: Path, profile: Profile, version: Callable[..., Dataset]
) -> None:
    version(*answers(), row("typed", "What is <|im_end|>?", "A token."), row("mute", "Say it.", None))
    command = lora_tui(workspace, "dataset", "audit", "small", "--model", str(tiny_base), "--max-length", "256")
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1, told.stderr
    assert "error special-tokens-in-text: 1 row" in told.stdout
    assert "rows typed" in told.stdout
    assert "█" in told.stdout
    assert max(map(len, told.stdout.splitlines()[1:])) <= 80
    data = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert data.returncode == 1
    findings = json.loads(data.stdout)["findings"]
    assert [(item["severity"], item["code"], item["rows"]) for item in findings] == [
        ("error", "special-tokens-in-text", ["typed"]),
        ("warning", "no-loss", ["mute"]),
    ]
    assert all(item["message"] for item in findings)


def test_dataset_audit_of_a_clean_dataset_succeeds(
    workspace: Workspace, profile: Profile, version: Callable[..., Dataset]
) -> None:
    version(*answers())
    command = lora_tui(workspace, "dataset", "audit", "small@1", "--profile", "small")
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, "nothing was found" in told.stdout) == (0, True), told.stderr


@pytest.mark.parametrize(
    "command", [("dataset", "audit", "small", "--profile", "small"), ("train", "small", "--dataset", "small")]
)
def test_ctrl_c_during_the_audit_ends_it_and_starts_nothing(
    workspace: Workspace, profile: Profile, version: Callable[..., Dataset], command: tuple[str, ...]
) -> None:
    dataset = version(*(row(f"r{n}", f"Say {n}.", f"{n} " * 200) for n in range(4000)))
    child = subprocess.Popen(
        lora_tui(workspace, *command), stderr=subprocess.PIPE, start_new_session=True, preexec_fn=_hears_interrupts
    )
    end = time.monotonic() + 60
    while not list(workspace.runs.glob("*-audit-*/process.toml")):
        assert time.monotonic() < end
        time.sleep(0.02)
    (audit_run,) = supervisor.runs(workspace)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130, told.decode()
    assert b"interrupted" in told
    assert not supervisor.is_alive(audit_run)
    assert list(workspace.runs.iterdir()) == []
    assert not list((dataset.folder / audit.FOLDER).glob("*"))


def _hears_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
