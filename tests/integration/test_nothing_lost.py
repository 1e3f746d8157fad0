"""What a run comes through: kills, a full disk, lost checkpoints, a damaged journal, a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from train_here import train_here, train_in_a_fork

pytestmark = pytest.mark.engine

STEPS = 10


@pytest.fixture(scope="module")
def profile(small_profile: Profile) -> Profile:
    """Two epochs of five steps, a checkpoint every second one, two of them kept."""
    training = msgspec.structs.replace(small_profile.training, num_train_epochs=2, save_steps=2, save_total_limit=2)
    return msgspec.structs.replace(small_profile, training=training)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, small_dataset: Path, profile: Profile) -> RunView:
    """The run that nothing happened to."""
    workspace = Workspace(tmp_path_factory.mktemp("whole"))
    job = Train(profile=profile, base=str(tiny_base), dataset=str(small_dataset))
    view = train_here(supervisor.create(workspace, job, "whole"))
    assert view.state == "finished", view.failure
    return view


def same_as(view: RunView, whole: RunView) -> None:
    """The run ended as if nothing had happened."""
    assert view.state == "finished", view.failure
    assert [event.step for event in view.metrics] == list(range(1, STEPS + 1))
    assert [event.loss for event in view.metrics] == pytest.approx([event.loss for event in whole.metrics], abs=1e-3)
    assert view.metrics[-1].tokens == whole.metrics[-1].tokens


def stopped_at(run: Run, step: int) -> RunView:
    """The run, stopped after `step`."""
    from lora_tui.worker.callbacks.telling import Telling

    told = Telling.on_step_begin

    def on_step_begin(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == step - 1:
            (run.folder / "stop").touch()
        told(self, args, state, control, **rest)

    Telling.on_step_begin = on_step_begin  # type: ignore[method-assign]
    try:
        view = train_here(run)
    finally:
        Telling.on_step_begin = told  # type: ignore[method-assign]
    (run.folder / "stop").unlink()
    assert isinstance(view.last_word, journal.Stopped)
    assert view.last_word.step == step
    return view


def checkpoints(run: Run) -> list[int]:
    """The steps of those on the disk."""
    return sorted(int(path.name.removeprefix("checkpoint-")) for path in run.folder.glob("checkpoints/checkpoint-*"))


def resumed_from(view: RunView) -> int | None:
    """The step its last process went on from."""
    assert view.started is not None
    return view.started.resumed_from


# Kills


def test_killed_again_and_again_at_any_moment_it_ends_as_if_nothing_had_happened(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    draw = random.Random(5)
    for after in (1, 3, 6):  # checkpoints made before the kill; the third is in the second half
        process = train_in_a_fork(run)
        view = RunView(run)
        while process.is_alive() and max((event.step for event in view.checkpoints), default=0) < after:
            view.refresh()
            time.sleep(0.005)
        time.sleep(draw.random() * 0.3)
        process.kill()
        process.join()
        kept = RunView.of(run).checkpoints
        assert kept, "a checkpoint that was told is there"
        assert (run.folder / kept[-1].path / "manifest.json").is_file()
        (run.folder / "lock").touch()
    same_as(train_here(run), whole)
    assert checkpoints(run) == [8, 10]


def hang_while_saving() -> None:
    """In the process that is to be killed: the second checkpoint takes forever, half of its files written."""
    from lora_tui.worker import checkpoints as saving

    seal, made = saving.seal, 0

    def never_done(path: Path, manifest: saving.Manifest) -> saving.Point:
        nonlocal made
        made += 1
        if made == 2:
            (saving.draft_of(path) / "optimizer.pt").write_bytes(b"half")
            time.sleep(600)
        return seal(path, manifest)

    saving.seal = never_done


def test_killed_while_it_writes_a_checkpoint_it_has_the_one_before(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    process = train_in_a_fork(run, hang_while_saving)
    half = run.folder / "checkpoints" / ".checkpoint-4.half" / "checkpoint-4"
    while not (half.is_dir() and (half / "optimizer.pt").is_file() and (half / "optimizer.pt").stat().st_size == 4):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert checkpoints(run) == [2]
    view = train_here(run)
    assert resumed_from(view) == 2
    same_as(view, whole)
    assert not list(run.folder.glob("checkpoints/.*"))


# Stopping


@contextlib.contextmanager
def at_pass(number: int, training: bool, do: Callable[[], object]) -> Iterator[None]:
    """`do` when that forward pass begins, of training or of evaluating."""
    import torch

    embed = torch.nn.Embedding.forward
    made = 0

    def forward(self: Any, input: Any) -> Any:
        nonlocal made
        made += torch.is_grad_enabled() == training
        if made == number and torch.is_grad_enabled() == training:
            do()
        return embed(self, input)

    torch.nn.Embedding.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Embedding.forward = embed  # type: ignore[method-assign]


def last_stop(view: RunView) -> journal.Stopped:
    """Its last word, which is that it was stopped."""
    assert isinstance(view.last_word, journal.Stopped), view.failure
    return view.last_word


def test_a_stop_before_the_first_step_comes_at_once(new_run: Callable[..., Run], profile: Profile) -> None:
    run = new_run(profile=profile)
    (run.folder / "stop").touch()
    word = last_stop(train_here(run))
    assert (word.step, word.checkpoint) == (0, "")
    stages = [event.stage for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Progress)]
    assert "load the base" not in stages


def test_a_stop_gives_up_an_evaluation_and_what_it_trained_is_kept(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    with at_pass(1, training=False, do=(run.folder / "stop").touch):
        view = train_here(run)
    word = last_stop(view)
    assert (word.step, word.checkpoint, view.evaluations) == (5, "checkpoints/checkpoint-5", [])
    (run.folder / "stop").unlink()
    same_as(train_here(run), whole)


def test_a_step_that_takes_long_is_given_up_for_a_stop_and_made_again_the_same(
    new_run: Callable[..., Run], profile: Profile, whole: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.worker.callbacks import controls

    monkeypatch.setattr(controls, "_WORTH_WAITING", -1.0)  # seconds: every step takes longer
    run = new_run(profile=profile)
    with at_pass(7, training=True, do=(run.folder / "stop").touch):  # the first of two in the fourth step
        word = last_stop(train_here(run))
    assert (word.step, word.checkpoint) == (3, "checkpoints/checkpoint-3")
    (run.folder / "stop").unlink()
    same_as(train_here(run), whole)


@pytest.mark.parametrize("by_signal", [False, True], ids=["file", "SIGTERM"])
def test_a_paused_run_is_stopped_with_a_checkpoint(
    new_run: Callable[..., Run], profile: Profile, by_signal: bool
) -> None:
    run = new_run(profile=profile)

    def end_the_pause() -> None:
        view = RunView(run)
        while not view.paused:
            view.refresh()
            time.sleep(0.01)
        if by_signal:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            (run.folder / "stop").touch()

    watcher = threading.Thread(target=end_the_pause, daemon=True)
    with at_pass(5, training=True, do=(run.folder / "pause").touch):  # in the third step
        watcher.start()
        word = last_stop(train_here(run, listen=True))
    assert (word.step, word.checkpoint) == (3, "checkpoints/checkpoint-3")


# Disks


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    """A disk at `path` that can be filled: what it yields fills it, and returns what frees it again.

    Where nobody may mount one, the system refuses files beyond a size instead, which is the same refusal to a library.
    """
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        limited = (60_000, before[1])  # bytes: room for the journal, not for a checkpoint
        yield (
            lambda: (
                resource.setrlimit(resource.RLIMIT_FSIZE, limited)
                or (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))
            )
        )
        return
    try:
        yield lambda: _fill(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def _fill(path: Path) -> Callable[[], None]:
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(os.urandom(size)):
                    pass
    return filler.unlink


def test_a_full_disk_ends_the_run_in_words_and_costs_no_checkpoint(
    tmp_path: Path,
    tiny_base: Path,
    small_dataset: Path,
    profile: Profile,
    whole: RunView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lora_tui.worker.callbacks.telling import Telling

    told = Telling.checkpoint_made
    frees: list[Callable[[], None]] = []
    with small_disk(tmp_path / "disk") as fill:
        job = Train(profile=profile, base=str(tiny_base), dataset=str(small_dataset))
        run = supervisor.create(Workspace(tmp_path / "disk" / "workspace"), job, "on a small disk")

        def checkpoint_made(self: Any, point: Any, *, best: bool) -> None:
            told(self, point, best=best)
            if point.step == 4:
                frees.append(fill())

        monkeypatch.setattr(Telling, "checkpoint_made", checkpoint_made)
        try:
            full = train_here(run)
        finally:
            monkeypatch.undo()
        assert full.state == "failed"
        word = full.last_word
        assert isinstance(word, journal.Failed), full.failure
        assert word.reason == "the disk is full: checkpoint-6 could not be written"
        assert "runs resume" in word.fix
        assert checkpoints(run) == [2, 4]

        frees[0]()
        view = train_here(run)
        assert resumed_from(view) == 4
        assert view.state == "finished", view.failure
        assert view.metrics[-1].loss == pytest.approx(whole.metrics[-1].loss, abs=1e-3)
        assert not list(run.folder.glob("checkpoints/.*"))


# Checkpoints


def test_a_checkpoint_that_was_removed_or_damaged_is_told_and_the_one_before_it_taken(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    stopped_at(run, 7)
    assert checkpoints(run) == [6, 7]
    shutil.rmtree(run.folder / "checkpoints" / "checkpoint-7")
    view = stopped_at(run, 8)
    assert resumed_from(view) == 6
    assert view.warnings[-1].message == "checkpoint-7 was passed over: it is gone"
    assert view.warnings[-1].advice == "Going on from that of step 6."

    (run.folder / "checkpoints" / "checkpoint-8" / "optimizer.pt").unlink()
    view = train_here(run)
    assert resumed_from(view) == 6
    assert view.warnings[-1].message == "checkpoint-8 was passed over: optimizer.pt is missing"
    same_as(view, whole)


def test_without_any_checkpoint_it_says_so_and_begins_again(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    stopped_at(run, 3)
    shutil.rmtree(run.folder / "checkpoints")
    view = train_here(run)
    assert view.warnings[-1].message == "checkpoint-3 was passed over: it is gone"
    assert view.warnings[-1].advice == "No other is there: starting from the beginning."
    assert resumed_from(view) is None
    same_as(view, whole)


def test_a_run_does_not_go_on_with_other_settings(new_run: Callable[..., Run], profile: Profile) -> None:
    run = new_run(profile=profile)
    stopped_at(run, 2)

    def changed(**training: Any) -> Run:
        new = msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, **training))
        job = msgspec.structs.replace(run.file.job, profile=new)
        return Run(folder=run.folder, file=msgspec.structs.replace(run.file, job=job))

    view = train_here(changed(learning_rate=1e-4, seed=7))
    assert view.state == "failed"
    assert "training.learning_rate was 0.005, is 0.0001; training.seed was 42, is 7" in view.failure
    assert "checkpoint-2" in view.failure
    harmless = changed(
        per_device_train_batch_size=1, gradient_accumulation_steps=4, logging_steps=2, save_total_limit=5
    )
    assert train_here(harmless).state == "finished"


# Journals and clocks


@pytest.mark.parametrize(
    "damage",
    [
        b"\0" * 4096,
        bytes(range(256)) * 3,
        b'{"type":"metrics","step":3,"epo',
        b'{"type":"warning","message":"\xff\xfe"}\n{"type":"no such"}\n' + b"[" * 5000,
    ],
    ids=["zeros", "any bytes", "half a line", "not text"],
)
def test_a_damaged_end_of_the_journal_costs_nothing(tmp_path: Path, whole: RunView, damage: bytes) -> None:
    run = Run(folder=tmp_path / "run", file=whole.run.file)
    shutil.copytree(whole.run.folder, run.folder)
    with run.journal.open("ab") as file:
        file.write(damage)
    assert len(RunView.of(run).metrics) == STEPS
    view = train_here(run)  # it is told once more that it has finished
    assert view.state == "finished"
    assert [event.step for event in view.metrics] == list(range(1, STEPS + 1))
    assert "finished already" in view.warnings[-1].message


def test_a_journal_cut_in_the_middle_of_a_run_does_not_keep_it_from_going_on(
    new_run: Callable[..., Run], profile: Profile, whole: RunView
) -> None:
    run = new_run(profile=profile)
    stopped_at(run, 5)
    data = run.journal.read_bytes()
    run.journal.write_bytes(data[: len(data) * 2 // 3] + b"\0\0\0\xff")
    view = train_here(run)
    assert resumed_from(view) == 5
    assert view.state == "finished", view.failure
    assert view.metrics[-1].loss == pytest.approx(whole.metrics[-1].loss, abs=1e-3)


def test_a_clock_that_jumps_changes_neither_order_nor_durations(
    new_run: Callable[..., Run], profile: Profile, whole: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, calls = time.time, 0

    def jumping() -> float:
        nonlocal calls
        calls += 1
        return clock() + (0 if calls < 8 else -7200 if calls < 16 else 86_400)

    monkeypatch.setattr(journal.time, "time", jumping)
    run = new_run(profile=profile)
    stopped_at(run, 6)
    view = train_here(run)
    monkeypatch.undo()
    times = [event.time for event in journal.JournalReader(run.journal).read()]
    assert max(after - before for before, after in pairwise(times)) > 80_000
    assert min(after - before for before, after in pairwise(times)) < -7000
    same_as(view, whole)
    assert all(0 < event.step_seconds < 60 and event.tokens_per_second > 0 for event in view.metrics)
    assert isinstance(view.last_word, journal.Finished)
    assert 0 < view.last_word.seconds < 300
