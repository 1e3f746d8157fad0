"""The journal: several writers, crashes, and a run's state derived from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import run_stories
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import TinyBase
from lora_tui.jobs.journal import (
    Checkpoint,
    Evaluation,
    Finished,
    Journal,
    JournalReader,
    Metrics,
    Progress,
    Sample,
    Started,
    Starting,
    Stopped,
    Warned,
)
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def metrics(step: int, loss: float = 1.0) -> Metrics:
    return Metrics(step=step, epoch=step / 10, loss=loss, learning_rate=1e-4, step_seconds=2.0)


def test_a_reader_gets_each_event_once_and_waits_for_the_end_of_a_half_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal, reader = Journal(path), JournalReader(path)
    journal.write(metrics(1))
    assert [event.step for event in reader.read()] == [1]
    assert reader.read() == []
    line = b'{"type":"checkpoint","time":1.0,"step":2,"path":"c"}\n'
    with path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert reader.read() == []
        file.write(line[20:])
    assert reader.read() == [Checkpoint(time=1.0, step=2, path="c")]


def test_a_crash_in_the_middle_of_a_line_costs_only_that_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).write(metrics(1))
    with path.open("ab") as file:
        file.write(b'{"type":"metrics","st')
    Journal(path).write(metrics(3))
    reader = JournalReader(path)
    assert [event.step for event in reader.read()] == [1, 3]
    assert reader.unreadable == 1


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_between_events_is_skipped_and_counted(tmp_path_factory: object, garbage: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"  # type: ignore[attr-defined]
    with path.open("wb") as file:
        for junk in garbage:
            file.write(junk.replace(b"\n", b" ") + b"\n")
    Journal(path).write(metrics(7))
    assert JournalReader(path).read()[-1].step == 7


def test_several_processes_writing_at_once_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = (
        "import sys; from pathlib import Path; from lora_tui.jobs.journal import Journal, Warned\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(200): journal.write(Warned(message=sys.argv[2] * 500))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "abc"]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0]
    reader = JournalReader(path)
    events = reader.read()
    assert (len(events), reader.unreadable) == (600, 0)
    assert all(len(set(event.message)) == 1 for event in events)


def test_steps_made_again_after_a_resume_are_counted_once(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    journal = Journal(run.journal)
    journal.write(Started(pid=1, host="h", total_steps=4))
    for step in (1, 2, 3):
        journal.write(metrics(step, loss=9.0))
    journal.write(Started(pid=2, host="h", total_steps=4, resumed_from=1))
    for step in (2, 3, 4):
        journal.write(metrics(step, loss=2.0))
    journal.write(Finished(steps=4, loss=2.0))
    view = RunView.of(run)
    assert [(item.step, item.loss) for item in view.metrics] == [(1, 9.0), (2, 2.0), (3, 2.0), (4, 2.0)]
    assert view.state == "finished"


def test_a_runs_state_follows_its_journal_and_its_process(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    assert RunView.of(run).state == "new"
    Journal(run.journal).write(Started(pid=os.getpid(), host="h", total_steps=10))
    for step in range(1, 6):
        Journal(run.journal).write(metrics(step))
    child = run_stories.living(run)
    view = RunView.of(run)
    assert (view.state, view.eta_seconds) == ("running", 10.0)
    supervisor.kill(run)
    child.wait()
    (run.folder / "stderr.log").write_text("Traceback\nMemoryError: no room\n")
    view.refresh()
    assert view.state == "failed"
    assert "MemoryError: no room" in view.failure
    Journal(run.journal).write(Stopped(step=5, checkpoint="checkpoints/checkpoint-5"))
    view.refresh()
    assert view.state == "stopped"


def test_a_run_that_has_finished_is_so_while_its_process_is_still_leaving(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    child = run_stories.living(run)
    Journal(run.journal).write(Finished(steps=5))
    assert supervisor.is_alive(run)
    assert RunView.of(run).state == "finished"
    supervisor.kill(run)
    child.wait()


def test_a_run_that_dies_while_it_loads_again_is_no_longer_called_stopped(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    run_stories.ended(run)
    Journal(run.journal).write(Stopped(step=5))
    assert RunView.of(run).state == "stopped"
    Journal(run.journal).write(Starting())
    assert RunView.of(run).state == "failed"


def test_a_run_that_begins_anew_forgets_the_attempt_before(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    journal = Journal(run.journal)
    journal.write(Started(pid=1, host="h", total_steps=4))
    journal.write(metrics(1, loss=9.0))
    journal.write(Evaluation(step=1, epoch=0.1, eval_loss=9.0))
    journal.write(Sample(step=1, prompt="?", answer="!"))
    journal.write(Checkpoint(step=1, path="checkpoints/checkpoint-1"))
    journal.write(Started(pid=2, host="h", total_steps=4))
    view = RunView.of(run)
    assert (view.metrics, view.evaluations, view.samples, view.checkpoints) == ([], [], [], [])


def test_checkpoints_that_made_room_for_newer_ones_are_not_shown(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    for step in (1, 2):
        Journal(run.journal).write(Checkpoint(step=step, path=f"checkpoints/checkpoint-{step}"))
    (run.folder / "checkpoints" / "checkpoint-2").mkdir(parents=True)
    assert RunView.of(run).summary()["checkpoints"] == ["checkpoints/checkpoint-2"]


def test_runs_are_found_by_a_beginning_of_their_id(workspace: Workspace) -> None:
    run = supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    assert supervisor.find(workspace, run.id[:10]).id == run.id
    with pytest.raises(BadInput, match="empty"):
        supervisor.find(workspace, "")


def test_the_latest_run_is_a_training_or_a_verification(workspace: Workspace) -> None:
    supervisor.create(workspace, TinyBase(chats="", output=""), "test")
    with pytest.raises(BadInput, match="no run yet"):
        supervisor.find(workspace, "latest")
    run_stories.write_finished(workspace)
    assert supervisor.find(workspace, "latest").file.title == "tiny on rust@1"


def test_bytes_that_are_no_text_are_one_unreadable_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).write(Progress(stage="one", done=0))
    with path.open("ab") as file:
        file.write(b'{"type":"warning","message":"\xff\xfe"}\n' + bytes(256) + b"\n")
    Journal(path).write(Progress(stage="two", done=0))
    reader = JournalReader(path)
    assert [event.stage for event in reader.read() if isinstance(event, Progress)] == ["one", "two"]
    assert reader.unreadable == 2


def test_a_journal_whose_end_was_lost_is_followed_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    log = Journal(path)
    log.write(Progress(stage="one", done=0))
    log.write(Progress(stage="lost", done=0))
    reader = JournalReader(path)
    assert len(reader.read()) == 2
    os.truncate(path, path.stat().st_size - 10)
    assert reader.read() == []
    Journal(path).write(Progress(stage="two", done=0))
    assert [event.stage for event in reader.read() if isinstance(event, Progress)] == ["two"]


def test_on_a_full_disk_the_last_word_finds_room_and_the_rest_is_counted(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from lora_tui.jobs.journal import Failed, Journal, Progress
log = Journal(Path(sys.argv[1]))
log.write(Progress(stage="one", done=0))
full = log.path.stat().st_size + 20
resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))  # half a line more
for done in range(3):
    log.write(Progress(stage="two", done=done))
try:
    log.write(Failed(reason="the disk is full"))
except Exception as error:
    print(type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write(Progress(stage="three", done=0))
"""
    path = tmp_path / "journal.jsonl"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LoraTuiError the disk is full: the journal cannot be written")
    events = JournalReader(path).read()
    assert [event.stage for event in events if isinstance(event, Progress)] == ["one", "three"]
    dropped = next(event for event in events if isinstance(event, Warned))
    assert (dropped.code, dropped.message) == ("disk", "the disk was full: 4 events could not be written")


@pytest.mark.parametrize(
    "event",
    [
        "Fault(side='tuned', code='wrong-model', message='another', voids=True)",
        "Identified(side='tuned', engine='vllm', model='m')",
        "Again(prompt=1)",
    ],
)
def test_a_full_disk_never_swallows_what_says_which_answers_count(tmp_path: Path, event: str) -> None:
    script = f"""
import resource, sys
from pathlib import Path
from lora_tui.jobs.journal import Again, Fault, Identified, Journal
log = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
log.write({event})
"""
    command = [sys.executable, "-c", script, tmp_path / "journal.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the disk is full: the journal cannot be written" in done.stderr


def test_room_is_set_aside_for_the_last_word_and_given_back(tmp_path: Path) -> None:
    log = Journal(tmp_path / "journal.jsonl")
    log.keep_room()
    assert (tmp_path / ".room").stat().st_size == 1 << 16
    log.close()
    assert not (tmp_path / ".room").exists()
