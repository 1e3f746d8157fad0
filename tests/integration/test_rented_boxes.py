"""Runs on machines that a fake RunPod rents out, reached by real SSH: whatever happens, none is left and none lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes import worker
from fakes.cloud import KEY
from fakes.runpod import RunPod, runpod
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.layout import Workspace
from rented_runs import ended, events, follow_until, kill, mirrored_is_whole, new_run
from ssh_servers import SshServer, fake_python, processes_of, ssh_server, until

RENTED = Box(provider="runpod", gpu="RTX 4090", max_price=1.0, max_hours=2.0)


@dataclass
class Place:
    """The provider, its machine, and where on it jobs lie."""

    cloud: RunPod
    server: SshServer
    folder: Path
    reached: threading.Event = field(default_factory=threading.Event)  # whoever comes to the point of the test waits
    go_on: threading.Event = field(default_factory=threading.Event)

    def wait_here(self) -> None:
        """Called at the point of the test: the first to come waits until its process is gone."""
        if not self.reached.is_set():
            self.reached.set()
            self.go_on.wait(30)

    def there(self, run: Run) -> Path:
        """The run's folder on the machine."""
        return self.folder / "jobs" / run.id


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    home = Path(os.environ["HOME"])
    with ssh_server(home) as server, runpod(ssh=("127.0.0.1", server.port), starts_after=0) as cloud:
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        monkeypatch.setenv("RUNPOD_BASE_URL", cloud.url)
        server.path = str(fake_python(tmp_path / "bin").parent)
        server.accepts = lambda line: any(
            line.split()[1] in box.asked.get("env", {}).get("PUBLIC_KEY", "") for box in cloud.living
        )
        yield Place(cloud, server, home / ".cache" / "lora-tui")
    for number in [*processes_of(home), *processes_of(tmp_path)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _settled(run: Run, cloud: RunPod) -> None:
    """No machine is left, and what the journal says it cost is what the provider bills."""
    assert cloud.living == []
    assert cloud.most_at_once == 1
    released = [event for event in events(run) if isinstance(event, journal.Released) and event.id]
    assert sorted(event.id for event in released) == sorted(box.id for box in cloud.boxes)
    assert sum(event.cost for event in released) == pytest.approx(cloud.billed(), abs=0.002)
    assert KEY not in "".join(path.read_text(errors="replace") for path in run.folder.glob("*") if path.is_file())


def test_a_machine_is_rented_trains_and_is_given_back(workspace: Workspace, place: Place, tmp_path: Path) -> None:
    run = new_run(workspace, tmp_path, RENTED)
    tries: list[str] = []
    has_key = place.server.accepts

    def takes(line: str) -> bool:  # sshd was there before the key
        tries.append(line)
        return len(tries) > 2 and has_key(line)

    place.server.accepts = takes
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert any("does not take the key" in warning.message for warning in view.warnings)
    assert any("no GPU is seen" in warning.message for warning in view.warnings)
    assert (run.folder / "adapter" / worker.WEIGHTS).read_bytes() == worker.weights_after(worker.STEPS)
    _settled(run, place.cloud)
    kinds = [event.__struct_config__.tag for event in events(run)]
    assert kinds.index("hiring") < kinds.index("hired") < kinds.index("started") < kinds.index("released")
    assert kinds[-1] == "finished"


def _at_request(method: str) -> Callable[[Place, Run], None]:
    def arm(place: Place, run: Run) -> None:
        place.cloud.before = lambda asked, path: place.wait_here() if asked == method else None

    return arm


def _at_command(*words: bytes) -> Callable[[Place, Run], None]:
    def arm(place: Place, run: Run) -> None:
        place.server.on_command = lambda command, data: (
            place.wait_here() if all(word in data for word in words) else None
        )

    return arm


def _at_upload(place: Place, run: Run) -> None:
    place.server.on_write = place.wait_here


def _at_download(place: Place, run: Run) -> None:
    def look(command: str, data: bytes) -> None:
        if b'"do":"hashes"' in data and b"/adapter" in data:
            begun = place.server.read
            place.server.on_read = lambda: place.wait_here() if place.server.read > begun + 100_000 else None

    place.server.on_command = look


def _when(holds: Callable[[Run], bool]) -> Callable[[Place, Run], None]:
    def arm(place: Place, run: Run) -> None:
        def watch() -> None:
            until(lambda: holds(run), 60)
            place.reached.set()

        threading.Thread(target=watch, daemon=True).start()

    return arm


POINTS: dict[str, Callable[[Place, Run], None]] = {
    "while a machine is asked for": _at_request("POST"),
    "as soon as its id is known": _when(lambda run: any(isinstance(event, journal.Hired) for event in events(run))),
    "while it is connected to": _at_command(b'"do":"facts"'),
    "in the middle of the upload": _at_upload,
    "while the engine is made ready": _at_command(b'"do":"unpack"'),
    "while the worker is started": _at_command(b'"do":"launch"'),
    "in the first steps": _when(lambda run: any(isinstance(event, journal.Metrics) for event in events(run))),
    "when a checkpoint is here": _when(lambda run: (run.folder / "checkpoints" / "checkpoint-5").is_dir()),
    "in the middle of the download": _at_download,
    "while the machine is given back": _at_request("DELETE"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_is_killed_goes_on_with_its_machine_at_the_next_start(
    workspace: Workspace, place: Place, tmp_path: Path, point: str
) -> None:
    run = new_run(workspace, tmp_path, RENTED)
    POINTS[point](place, run)
    supervisor.start(run)
    assert place.reached.wait(60), point
    kill(run)
    place.go_on.set()
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert len(place.cloud.boxes) == 1
    _settled(run, place.cloud)
    assert (run.folder / "adapter" / worker.WEIGHTS).read_bytes() == worker.weights_after(worker.STEPS)
    mirrored_is_whole(run, place.there(run))
    assert len(list((place.there(run) / ".attempts").iterdir())) == 1


def test_a_machine_that_is_gone_in_the_middle_is_replaced_at_the_next_start(
    workspace: Workspace, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "60")
    run = new_run(workspace, tmp_path, RENTED)
    supervisor.start(run)
    follow_until(run, lambda view: (run.folder / "checkpoints" / "checkpoint-5").is_dir(), "a checkpoint here")
    place.cloud.end(place.cloud.living[0])  # before its connection drops, at which its provider is asked, once a minute
    place.server.stop()
    for number in processes_of(place.there(run)):
        os.kill(number, signal.SIGKILL)
    shutil.rmtree(place.folder)
    view = ended(run)
    assert view.state == "failed"
    assert "the machine is gone" in view.failure
    place.server.start()
    supervisor.start(run)
    view = ended(run)
    assert view.state == "finished", view.failure
    assert view.started is not None
    assert view.started.resumed_from >= 5
    assert len(place.cloud.boxes) == 2
    assert place.cloud.living == []
    assert (run.folder / "adapter" / worker.WEIGHTS).read_bytes() == worker.weights_after(60)


def test_a_stopped_run_keeps_its_checkpoint_and_no_machine(
    workspace: Workspace, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "10000")
    run = new_run(workspace, tmp_path, RENTED)
    supervisor.start(run)
    follow_until(run, lambda view: view.step >= 3, "step 3")
    supervisor.stop(run)
    view = ended(run)
    assert view.state == "stopped"
    assert (run.folder / "checkpoints" / f"checkpoint-{view.step}").is_dir()
    _settled(run, place.cloud)
