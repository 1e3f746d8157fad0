"""Why a process ended without a word, as a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import run_stories
from lora_tui.jobs import ending, supervisor
from lora_tui.jobs.ending import Process
from lora_tui.jobs.job import Train
from lora_tui.jobs.journal import Failed, Hardware, Journal, JournalReader, Metrics, Started, Starting, Stopped, Warned
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace

GIB = 1 << 30


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """A training run whose process is gone."""
    job = Train(profile=run_stories.PROFILE, base="base", dataset="rows")
    made = supervisor.create(workspace, job, "test")
    run_stories.ended(made)
    return made


def system(folder: Path, boot: str, kills: int) -> dict[str, Path]:
    """What the kernel says of itself."""
    (folder / "boot_id").write_text(f"{boot}\n")
    (folder / "vmstat").write_text(f"nr_free_pages 7\noom_kill {kills}\npgfault 9\n")
    return {"boot": folder / "boot_id", "counts": folder / "vmstat"}


def test_a_kill_for_want_of_memory_is_told_from_others(run: Run, tmp_path: Path) -> None:
    began = ending.process(7, **system(tmp_path, "one", kills=3))
    assert (began.boot, began.memory_kills) == ("one", 3)
    assert ending.why(run.folder, began, **system(tmp_path, "one", kills=3)).cause == "unknown"
    killed = ending.why(run.folder, began, **system(tmp_path, "one", kills=4))
    assert (killed.cause, killed.words[:13]) == ("memory", "Out of memory")
    restarted = ending.why(run.folder, began, **system(tmp_path, "two", kills=4))
    assert restarted == ending.Ending("restart", "The machine was restarted while it worked.")
    nothing = {"boot": tmp_path / "no", "counts": tmp_path / "such"}
    assert ending.why(run.folder, ending.process(7, **nothing), **nothing).cause == "unknown"


def test_a_full_ram_shortly_before_is_a_sign_of_it(run: Run) -> None:
    log = Journal(run.journal)
    log.write(Starting())
    log.write(Hardware(cpu=90.0, ram_used=63 * GIB, ram_total=64 * GIB))
    assert RunView.of(run).failure.startswith(
        "The process ended without a word. The machine was out of memory: 98% of its RAM was in use shortly before."
    )
    log.write(Starting())
    assert "out of memory: 98%" not in RunView.of(run).failure


def test_the_next_start_is_told_of_it_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.folder / "sleeper.py").write_text("import time; time.sleep(600)")
    monkeypatch.setitem(supervisor._MODULES, Train, "sleeper")
    log = Journal(run.journal)
    log.write(Starting())
    log.write(Started(pid=1, host="here"))
    log.write(Hardware(cpu=90.0, ram_used=63 * GIB, ram_total=64 * GIB))

    def restarted() -> list[Warned]:
        supervisor.start(run)
        assert RunView.of(run).state == "running"
        supervisor.kill(run)
        assert supervisor.wait(run, 30)
        events = JournalReader(run.journal).read()
        return [event for event in events if isinstance(event, Warned) and event.code == "killed_for_memory"]

    assert len(restarted()) == 1
    assert len(restarted()) == 1, "the second was killed by a person, and the RAM was not looked at again"
    log.write(Hardware(cpu=90.0, ram_used=63 * GIB, ram_total=64 * GIB))
    log.write(Stopped(step=3))
    assert len(restarted()) == 1, "it said its last word"


def test_the_batch_is_halved_after_a_kill_for_want_of_memory(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from lora_tui.worker.oom import Batch
    from lora_tui.worker.resuming import batch_in_force

    profile = run_stories.PROFILE
    rows = profile.training.per_device_train_batch_size * 4
    import msgspec

    training = msgspec.structs.replace(profile.training, per_device_train_batch_size=rows)
    profile = msgspec.structs.replace(profile, training=training)
    whole = Batch(rows=rows, accumulation=training.gradient_accumulation_steps)
    log = Journal(tmp_path / "journal.jsonl")
    assert batch_in_force(profile, log, planned=5) == whole
    log.write(Metrics(step=6, epoch=0.5, loss=1.0, learning_rate=1e-4))
    log.write(Warned(message="Out of memory", code="killed_for_memory"))
    assert batch_in_force(profile, log, planned=5) == whole.smaller()
    assert batch_in_force(profile, log, planned=5) == whole.smaller(), "once, not at every start"
    log.write(Failed(reason="step 7 does not fit", where="out of memory"))
    least = whole.smaller()
    assert least is not None
    assert batch_in_force(profile, log, planned=5) == least.smaller()


def test_a_process_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "process.toml").write_text("pid = 7\n")
    assert toml.load(tmp_path / "process.toml", Process) == Process(pid=7)
