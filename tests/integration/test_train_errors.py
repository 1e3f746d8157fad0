"""What a run says when it cannot be done: what, where, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Measure
from lora_tui.jobs.journal import JournalReader
from lora_tui.jobs.supervisor import Run
from lora_tui.worker.__main__ import main
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def failure(run: Run) -> journal.Failed:
    """Do the job in this process and return its last event, which must be a failure."""
    assert main([str(run.folder / "job.toml")]) != 0
    last = JournalReader(run.journal).read()[-1]
    assert isinstance(last, journal.Failed)
    return last


def rows(folder: Path, *messages: list[dict[str, object]]) -> str:
    """A dataset folder with one training row per list of messages."""
    folder.mkdir()
    (folder / "train.jsonl").write_text(
        "".join(json.dumps({"id": f"row-{index}", "messages": item}) + "\n" for index, item in enumerate(messages))
    )
    return str(folder)


def test_a_missing_base_is_named(new_run: Callable[..., Run], tmp_path: Path) -> None:
    failed = failure(new_run(base=str(tmp_path / "nowhere")))
    assert failed.reason == "there is no base model here"
    assert failed.where == str(tmp_path / "nowhere")
    assert failed.fix


def test_a_folder_that_is_no_model_is_named(new_run: Callable[..., Run], tmp_path: Path) -> None:
    failed = failure(new_run(base=str(tmp_path)))
    assert "cannot load the base's tokenizer" in failed.reason


def test_a_missing_dataset_is_named(new_run: Callable[..., Run], tmp_path: Path) -> None:
    failed = failure(new_run(dataset=str(tmp_path / "gone")))
    assert failed.reason == "there is no dataset here"


def test_a_broken_row_is_named_with_its_line(new_run: Callable[..., Run], tmp_path: Path) -> None:
    dataset = tmp_path / "broken"
    dataset.mkdir()
    (dataset / "train.jsonl").write_text('{"id": "a", "messages": []}\n{"id": "b"\n')
    failed = failure(new_run(dataset=str(dataset)))
    assert failed.where.endswith("train.jsonl:2")


def test_a_dataset_that_does_not_fit_is_refused_and_never_cut(
    new_run: Callable[..., Run], tmp_path: Path, small_profile: Profile
) -> None:
    long = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "word " * 500}]
    failed = failure(new_run(dataset=rows(tmp_path / "long", long)))
    assert "1 longer than max_length 256" in failed.reason
    assert "max_length" in failed.fix


def test_a_dataset_without_answers_is_refused(new_run: Callable[..., Run], tmp_path: Path) -> None:
    failed = failure(new_run(dataset=rows(tmp_path / "silent", [{"role": "user", "content": "Hi"}])))
    assert "without an assistant turn" in failed.reason


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [("optim", "adamw_troch", "adamw_torch"), ("lr_scheduler_type", "cosin", "cosine")],
)
def test_a_plan_and_a_run_refuse_a_setting_that_does_not_exist(
    workspace: Workspace,
    new_run: Callable[..., Run],
    tiny_base: Path,
    small_profile: Profile,
    key: str,
    value: str,
    fix: str,
) -> None:
    training = msgspec.structs.replace(small_profile.training, **{key: value})
    profile = msgspec.structs.replace(small_profile, training=training)
    counting = Measure(profile=profile, base=str(tiny_base), output=str(workspace.root / "measured.json"))
    for run in (supervisor.create(workspace, counting, "size"), new_run(profile=profile)):
        failed = failure(run)
        assert failed.reason == f"training.{key}: transformers knows no {value!r}"
        assert failed.where == "profile small"
        assert fix in failed.fix


def test_a_schedule_that_needs_more_than_a_profile_has_is_refused(
    workspace: Workspace, tiny_base: Path, small_profile: Profile
) -> None:
    training = msgspec.structs.replace(small_profile.training, lr_scheduler_type="cosine_with_min_lr")
    profile = msgspec.structs.replace(small_profile, training=training)
    counting = Measure(profile=profile, base=str(tiny_base), output=str(workspace.root / "measured.json"))
    failed = failure(supervisor.create(workspace, counting, "size"))
    assert failed.reason.startswith("training.lr_scheduler_type: 'cosine_with_min_lr' needs settings")


def test_target_modules_the_base_does_not_have_are_named(new_run: Callable[..., Run], small_profile: Profile) -> None:
    profile = msgspec.structs.replace(
        small_profile, lora=msgspec.structs.replace(small_profile.lora, target_modules=("no_such_proj",))
    )
    failed = failure(new_run(profile=profile))
    assert "target_modules" in failed.reason
    assert "all-linear" in failed.fix
