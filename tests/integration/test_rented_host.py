"""A run on a host of one's own, with a worker that trains nothing: what becomes of it when things go wrong."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fakes import worker
from lora_tui.adapters import registry
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.layout import Workspace
from rented_runs import ended, events, follow_until, kill, mirrored_is_whole, new_run
from ssh_servers import SshServer, add_host, fake_python, processes_of, ssh_server, until


@pytest.fixture
def server() -> Iterator[SshServer]:
    with ssh_server(Path(os.environ["HOME"])) as found:
        yield found


@pytest.fixture
def box(workspace: Workspace, server: SshServer, tmp_path: Path) -> Path:
    """The other machine's folder; its host is `gpu`."""
    folder = tmp_path / "box"
    add_host(workspace, server, folder, python=str(fake_python(tmp_path / "bin")), price_per_hour=3.6)
    return folder


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    for number in processes_of(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _weights(folder: Path) -> bytes:
    return (folder / "adapter" / worker.WEIGHTS).read_bytes()


def _drops(run: Run) -> list[journal.Warned]:
    return [event for event in events(run) if isinstance(event, journal.Warned) and event.code == "connection"]


def test_a_run_is_followed_to_the_byte_over_many_dropped_connections(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "60")
    monkeypatch.setenv("FAKE_KEEPS", "2")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    for step in (3, 10, 20, 30):
        follow_until(run, lambda view, step=step: view.step >= step, f"step {step}")
        server.abort()
    drops = len(_drops(run))
    server.stop()
    until(lambda: len(_drops(run)) > drops, what="the drop")
    server.start()
    view = ended(run)
    assert view.state == "finished", view.failure
    mirrored_is_whole(run, box / "jobs" / run.id)
    assert _weights(run.folder) == worker.weights_after(60)
    kept = sorted(path.name for path in (run.folder / "checkpoints").iterdir())
    assert kept == ["checkpoint-55", "checkpoint-60"]
    assert all("goes on there" in event.advice for event in _drops(run))
    assert [item.label for item in registry.register_finished(workspace)] == ["small@1.0.0"]
    config = (run.folder / "adapter" / "adapter_config.json").read_text()
    assert str(tmp_path / "base") in config
    hired, released = (
        [event for event in events(run) if isinstance(event, kind)] for kind in (journal.Hired, journal.Released)
    )
    assert [event.id for event in hired] == [event.id for event in released] == ["gpu"]
    assert released[0].cost == pytest.approx(released[0].seconds / 1000)


def test_a_second_run_sends_nothing_but_its_job_and_a_token_goes_to_a_worker_that_fetches_its_base_and_to_no_file(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "2")
    token = "hf_planted_by_the_tests"
    monkeypatch.setenv("HF_TOKEN", token)
    first = new_run(workspace, tmp_path)
    supervisor.start(first)
    assert ended(first).state == "finished"
    assert server.written > 1 << 20
    assert "with a token" not in (first.folder / "stdout.log").read_text()
    second = new_run(workspace, tmp_path, base_there="owner/gated")
    server.written = 0
    supervisor.start(second)
    assert ended(second).state == "finished"
    assert server.written == (box / "jobs" / second.id / "job.toml").stat().st_size
    assert not (box / "jobs" / second.id / "checkpoints").exists()
    assert "with a token" in (second.folder / "stdout.log").read_text()
    assert any("HF_TOKEN goes along" in event.message for event in events(second) if isinstance(event, journal.Note))
    for path in (path for folder in (workspace.root, box) for path in folder.rglob("*") if path.is_file()):
        assert token.encode() not in path.read_bytes(), path


def test_a_stopped_run_has_its_checkpoint_here_and_goes_on_from_it(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "40")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 7, "step 7")
    supervisor.stop(run)
    view = ended(run)
    assert view.state == "stopped"
    stopped_at = view.step
    assert (run.folder / "checkpoints" / f"checkpoint-{stopped_at}" / worker.WEIGHTS).is_file()
    assert not processes_of(box / "jobs" / run.id)
    server.stop()
    supervisor.start(run)
    assert "refuses the connection" in ended(run).failure  # nothing works there: it is not waited for
    server.start()
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert [item.step for item in view.metrics] == list(range(1, 41))
    assert _weights(run.folder) == worker.weights_after(40)
    mirrored_is_whole(run, box / "jobs" / run.id)


def test_a_run_that_is_paused_waits_there_and_a_checkpoint_is_made_on_request(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 2, "step 2")
    supervisor.checkpoint(run)
    follow_until(run, lambda view: any(item.step % worker.EVERY for item in view.checkpoints), "the checkpoint")
    supervisor.pause(run)
    follow_until(run, lambda view: view.paused, "the pause")
    supervisor.unpause(run)
    follow_until(run, lambda view: not view.paused, "the end of the pause")
    supervisor.stop(run)
    assert ended(run).state == "stopped"


def test_ending_a_run_at_once_leaves_no_process_there(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 7, "step 7")
    assert processes_of(box / "jobs" / run.id)
    supervisor.kill(run)
    assert ended(run).state == "stopped"
    assert not processes_of(box / "jobs" / run.id)


def test_a_run_whose_machine_cannot_be_reached_to_end_it_goes_on_there_and_is_followed_again(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "100")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 3, "step 3")
    server.stop()
    supervisor.kill(run)
    view = ended(run)
    assert view.state == "failed"
    assert "cannot be reached to stop the run, which goes on there" in view.failure
    assert processes_of(box / "jobs" / run.id)
    assert not any(isinstance(event, journal.Released) for event in events(run))
    server.start()
    supervisor.start(run)
    assert ended(run).state == "finished"
    assert _weights(run.folder) == worker.weights_after(100)
    mirrored_is_whole(run, box / "jobs" / run.id)
    kinds = [event.__struct_config__.tag for event in events(run)]
    assert kinds.count("hired") == kinds.count("released") == 1


def test_a_machine_that_was_lost_costs_what_came_after_the_newest_checkpoint(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "40")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: (run.folder / "checkpoints" / "checkpoint-5").is_dir(), "a checkpoint here")
    kill(run)
    for number in processes_of(box / "jobs" / run.id):
        os.kill(number, signal.SIGKILL)
    shutil.rmtree(box)
    before = [event.origin for event in events(run) if event.origin]
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert view.started is not None
    assert view.started.resumed_from >= 5
    assert _weights(run.folder) == worker.weights_after(40)
    origins = [event.origin for event in events(run) if event.origin]
    assert origins[: len(before)] == before
    assert origins == list(range(1, len(origins) + 1))
    assert (run.folder / "stderr.log").read_bytes() == (box / "jobs" / run.id / "stderr.log").read_bytes()


def test_a_download_that_is_cut_goes_on_where_it_was_and_is_verified(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path
) -> None:
    run = new_run(workspace, tmp_path)

    def cut(command: str, data: bytes) -> None:
        if b'"do":"hashes"' in data and b"/adapter" in data:
            server.cut_after_read = server.read + 300_000
            server.on_command = lambda command, data: None
            begun = server.connections
            server.on_read = lambda: spoil() if server.connections > begun else None

    def spoil() -> None:
        server.on_read = lambda: None
        server.spoils = True

    server.on_command = cut
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert server.cuts == 1
    assert server.spoiled == 1
    assert _weights(run.folder) == worker.weights_after(worker.STEPS)


@pytest.mark.parametrize(("end", "said"), [("fail", "the planted error"), ("crash", "code 9: Killed by the test")])
def test_what_goes_wrong_there_is_one_message_here(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, said: str
) -> None:
    monkeypatch.setenv("FAKE_END", end)
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    view = ended(run)
    assert view.state == "failed"
    assert said in view.failure
    assert len([event for event in events(run) if isinstance(event, journal.Failed)]) == 1
    if end == "crash":
        return
    monkeypatch.delenv("FAKE_END")
    supervisor.start(run)
    assert ended(run).state == "finished"
    assert _weights(run.folder) == worker.weights_after(worker.STEPS)


def test_a_worker_that_is_killed_there_is_seen_as_lost(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 3, "step 3")
    for number in processes_of(box / "jobs" / run.id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    view = ended(run)
    assert view.state == "failed"
    assert "ended without a word" in view.failure


def test_a_machine_that_cannot_be_reached_is_one_clear_message_and_nothing_is_started(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path
) -> None:
    server.stop()
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    view = ended(run)
    assert view.state == "failed"
    assert "refuses the connection" in view.failure
    assert not any(isinstance(event, journal.Hired) for event in events(run))


def test_trouble_on_this_side_leaves_the_run_there_working_and_says_so(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "80")
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 3, "step 3")
    log = run.folder / "stdout.log"
    log.rename(tmp_path / "kept")
    log.mkdir()
    view = ended(run)
    assert view.state == "failed"
    assert "The run goes on there: lora-tui runs resume follows it again." in view.failure
    assert processes_of(box / "jobs" / run.id)
    log.rmdir()
    (tmp_path / "kept").rename(log)
    supervisor.start(run)
    assert ended(run).state == "finished"
    mirrored_is_whole(run, box / "jobs" / run.id)
    kinds = [event.__struct_config__.tag for event in events(run)]
    assert kinds.count("hired") == kinds.count("released") == 1


def test_a_run_whose_hours_ended_while_nobody_followed_is_stopped_there(
    workspace: Workspace, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    run = new_run(workspace, tmp_path, Box(provider="host", host="gpu", max_hours=1))
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 1, "step 1")
    kill(run)
    hired = next(line for line in run.journal.read_text().splitlines() if '"hired"' in line)
    two_hours_ago = msgspec.json.encode(msgspec.json.decode(hired) | {"time": time.time() - 7200}).decode()
    run.journal.write_text(run.journal.read_text().replace(hired, two_hours_ago))
    assert processes_of(box / "jobs" / run.id)
    supervisor.start(run)
    view = ended(run)
    assert view.state == "stopped", view.failure
    assert (run.folder / "checkpoints" / f"checkpoint-{view.step}").is_dir()
    assert not processes_of(box / "jobs" / run.id)


def test_two_machines_that_share_a_home_do_not_take_each_other_for_themselves(
    workspace: Workspace, server: SshServer, box: Path, tmp_path: Path
) -> None:
    with ssh_server(Path(os.environ["HOME"])) as other:
        add_host(workspace, other, box, python=str(fake_python(tmp_path / "other")), name="second")
        alone = new_run(workspace, tmp_path, Box(provider="host", host="gpu,second"))
        run = supervisor.create(workspace, msgspec.structs.replace(alone.file.job, nnodes=2), "on two")
        supervisor.start(run)
        view = ended(run)
    assert view.state == "finished", view.failure
    mirrored_is_whole(run, box / "jobs" / run.id)
    assert len(list((box / "jobs").glob(f"{run.id}*/.attempts/1/rc"))) == 2
    assert list((box / "jobs").glob(f"{run.id}*/.attempts/2")) == []


def test_times_are_of_the_clock_here_and_what_is_printed_at_the_start_here_is_no_part_of_the_logs_there(
    workspace: Workspace, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\nprint('hello')\nprint('hello', file=sys.stderr)\n")
    paths = (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("FAKE_AHEAD", "3600")
    monkeypatch.setenv("FAKE_STEPS", "2")
    ahead = '-) sed \'s/"now": time.time()/"now": time.time() + 3600/\' > ' + shlex.quote(str(tmp_path / "asked"))
    python = fake_python(tmp_path / "bin", f"{ahead}.$$; exec {shlex.quote(sys.executable)} - < {tmp_path}/asked.$$;;")
    add_host(workspace, server, tmp_path / "box", python=str(python))
    run = new_run(workspace, tmp_path)
    supervisor.start(run)
    assert ended(run).state == "finished"
    mirrored_is_whole(run, tmp_path / "box" / "jobs" / run.id)
    assert b"hello" in (run.folder / "conductor.log").read_bytes()
    assert all(abs(event.time - time.time()) < 120 for event in events(run))
    assert any(isinstance(event, journal.Note) and "3600 s ahead" in event.message for event in events(run))
