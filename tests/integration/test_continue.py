"""Going on from an adapter: with what it learned, with new rows only, and told where it comes from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import lineage, start_of
from lora_tui.adapters.registry import Adapter, Metadata
from lora_tui.backends import local
from lora_tui.backends.chat_file import chat_file
from lora_tui.backends.start import check_fits
from lora_tui.dataset.describe import sha256
from lora_tui.dataset.model import Dataset, Manifest
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import STOP, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile

pytestmark = pytest.mark.engine


def version(workspace: Workspace, number: int, rows: range, name: str = "small") -> Dataset:
    """name@number with these rows in train, and two others to validate on."""
    folder = workspace.datasets / name / str(number)
    folder.mkdir(parents=True)
    for split, part in (("train", rows), ("validation", range(90, 92)), ("test", range(92, 93))):
        lines = []
        for index in part:
            asked = {"role": "user", "content": f"Write function number {index}."}
            said = {"role": "assistant", "content": f"fn f{index}() -> i32 {{ {index} }}"}
            lines.append(json.dumps({"id": f"row-{index}", "messages": [asked, said]}) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines))
    manifest = Manifest(
        name=name,
        version=number,
        created=float(number),
        hash=sha256(folder / "train.jsonl"),
        seed=1,
        split=(80, 10, 10),
        split_rule="",
        rows={"train": len(rows), "validation": 2, "test": 1},
        files={},
    )
    (folder / "manifest.toml").write_text(toml.dump(manifest))
    return Dataset(folder=folder, manifest=manifest)


def registered(workspace: Workspace, label: str, **about: Any) -> Adapter:
    """An adapter in the registry whose weights nobody will look at."""
    name, _, number = label.partition("@")
    folder = workspace.adapters / name / number
    folder.mkdir(parents=True)
    given: dict[str, Any] = {
        "name": name,
        "version": number,
        "created": 1.0,
        "base": "/base",
        "profile": name,
        "dataset": "small@1",
        "dataset_hash": "",
        "run": label,
        "steps": 1,
        "r": 8,
        "lora_alpha": 16,
        "lora": Lora(r=8, lora_alpha=16),
    } | about
    (folder / "metadata.toml").write_text(toml.dump(Metadata(**given)))
    (folder / "SHA256SUMS").write_text("")
    return registry.find(workspace, label)


def trained(run: Run, log: journal.Journal | None = None) -> RunView:
    """The run, taken up and trained to its end, or to a stop, in this process."""
    from lora_tui.worker.requests import Requests
    from lora_tui.worker.train import train

    assert isinstance(run.file.job, Train)
    log = log or journal.Journal(run.journal)
    try:
        train(run.file.job, run.folder, log, Requests(run.folder))
    finally:
        log.close()
    return RunView.of(run)


def test_only_what_the_whole_line_has_not_seen_is_new(workspace: Workspace) -> None:
    version(workspace, 1, range(5))
    version(workspace, 2, range(3, 8))
    third = version(workspace, 3, range(10))
    registered(workspace, "tiny@1.0.0")
    registered(workspace, "tiny@1.1.0", dataset="small@2", parents=("tiny@1.0.0",))
    start = start_of(workspace, "tiny@1.1.0", third, new_only=True)
    assert start.known == {f"row-{index}" for index in range(8)}
    assert start_of(workspace, "tiny@1.0.0", third, new_only=True).known == {f"row-{index}" for index in range(5)}
    assert start_of(workspace, "tiny", third).known == frozenset()

    second = version(workspace, 4, range(6))
    with pytest.raises(BadInput, match=r"no row of small@4 is new to tiny@1\.1\.0"):
        start_of(workspace, "tiny@1.1.0", second, new_only=True)
    shutil.rmtree(workspace.adapters / "tiny" / "1.0.0")
    with pytest.raises(BadInput, match=r"tiny@1\.0\.0, which tiny@1\.1\.0 comes from, is gone"):
        start_of(workspace, "tiny@1.1.0", third, new_only=True)
    assert [getattr(item, "label", item) for item in lineage(workspace, registry.find(workspace, "tiny"))] == [
        "tiny@1.1.0",
        "tiny@1.0.0",
    ]


def test_what_cannot_go_on_from_it_is_refused_with_the_setting_that_would(workspace: Workspace) -> None:
    dataset = version(workspace, 1, range(5))
    registered(workspace, "tiny@1.0.0")
    start = start_of(workspace, "tiny", dataset)
    profile = Profile(name="small", model=Model(base="/base"), lora=Lora(r=32, lora_alpha=16, lora_dropout=0.5))
    with pytest.raises(BadInput, match=r"tiny@1\.0\.0 was made otherwise: lora\.r is 8 there and 32 here") as told:
        check_fits(profile, "/base", start)
    assert "--set 'lora.r=8'" in told.value.fix
    check_fits(msgspec.structs.replace(profile, lora=Lora(r=8, lora_alpha=16, lora_dropout=0.5)), "/base", start)
    with pytest.raises(BadInput, match="was trained on another base: /base, not /other"):
        check_fits(profile, "/other", start)
    with pytest.raises(BadInput, match="there is no adapter"):
        start_of(workspace, "nobody", dataset)


def test_a_chat_file_that_is_not_there_is_refused_before_anything_starts(workspace: Workspace, tmp_path: Path) -> None:
    wish = Forgetting(replay="stored", replay_file="nowhere.jsonl")
    profile = Profile(name="small", model=Model(base="/base"), forgetting=wish)
    with pytest.raises(BadInput, match=r"forgetting\.replay_file: there is no such chat file: nowhere\.jsonl"):
        chat_file(workspace, "replay_file", profile)
    (workspace.root / "nowhere.jsonl").write_text("")
    assert chat_file(workspace, "replay_file", profile) == str(workspace.root / "nowhere.jsonl")
    assert chat_file(workspace, "general", profile) == ""


@pytest.fixture
def short(small_profile: Profile, tiny_base: Path) -> Callable[..., Profile]:
    """The small profile with one epoch, on the tiny base, and a [forgetting] of its own."""

    def make(**wish: Any) -> Profile:
        training = msgspec.structs.replace(small_profile.training, num_train_epochs=1.0)
        return msgspec.structs.replace(
            small_profile,
            model=Model(base=str(tiny_base)),
            training=training,
            forgetting=Forgetting(**{"measure": False} | wish),
        )

    return make


class Stopping(journal.Journal):
    """A journal at whose word of step 1 someone asks the run to stop."""

    def write(self, event: journal.AnyEvent) -> None:
        """Write it, and ask."""
        super().write(event)
        if isinstance(event, journal.Metrics) and event.step == 1:
            (self.path.parent / STOP).touch()


@pytest.mark.timeout(900)
def test_a_run_goes_on_from_an_adapter_with_the_new_rows_and_is_registered_as_its_child(
    workspace: Workspace, tiny_base: Path, short: Callable[..., Profile]
) -> None:
    from safetensors.torch import load_file

    version(workspace, 1, range(12))
    given = {"base": str(tiny_base), "dataset": str(workspace.datasets / "small" / "1"), "dataset_name": "small@1"}
    first = supervisor.create(workspace, Train(profile=short(measure=True, keep_fisher=True), **given), "first")
    before = trained(first)
    parent = registry.find(workspace, "small")
    assert (parent.label, parent.metadata.parents) == ("small@1.0.0", ())
    assert (parent.folder / "fisher.safetensors").is_file()
    assert registry.damaged_files(parent) == []
    assert parent.metadata.general_loss == before.general[-1].loss

    second = version(workspace, 2, range(8, 24))
    start = start_of(workspace, "small", second, new_only=True)
    wish = {"ewc": 10.0, "l2": 0.01, "replay": "self", "replay_share": 0.2}
    run = local.train(workspace, short(measure=True, **wish), second, start=start, allow=("twins-across-splits",))
    assert supervisor.wait(run, 600)
    view = RunView.of(run)
    assert view.state == "finished", view.failure
    said = [event.message for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Note)]
    assert said[0] == "12 of 16 rows are new to small@1.0.0; the others are left out"
    assert view.general[0].loss == pytest.approx(before.general[-1].loss, abs=1e-5)  # it begins as the parent ended
    assert view.general[0].kl == pytest.approx(0.0, abs=1e-6)
    assert view.metrics[0].penalty < view.metrics[-1].penalty
    child = registry.find(workspace, "small")
    assert (child.label, child.metadata.parents, child.metadata.new_rows_only) == (
        "small@1.1.0",
        ("small@1.0.0",),
        True,
    )
    earlier = load_file(parent.folder / "fisher.safetensors")
    later = load_file(child.folder / "fisher.safetensors")
    assert earlier.keys() == later.keys()
    assert all(bool((later[name] >= 0.95 * earlier[name] - 1e-9).all()) for name in earlier)  # carried on, and more

    # The same once more in this process, stopped on the way and taken up again: bit for bit what it was.
    job = run.file.job
    assert isinstance(job, Train)
    again = supervisor.create(workspace, job, "again")
    assert trained(again, Stopping(again.journal)).state == "stopped"
    (again.folder / STOP).unlink()
    resumed = trained(again)
    assert resumed.started is not None
    assert resumed.started.resumed_from
    assert [item.loss for item in resumed.metrics] == pytest.approx([item.loss for item in view.metrics], abs=1e-5)
    for name in ("adapter_model.safetensors", "fisher.safetensors"):
        straight, taken_up = load_file(run.folder / "adapter" / name), load_file(again.folder / "adapter" / name)
        for key, item in straight.items():
            assert (item - taken_up[key]).abs().max() <= 1e-5 * item.abs().max() + 1e-9
