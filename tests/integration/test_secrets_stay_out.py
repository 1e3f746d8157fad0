"""Keys for Together, RunPod, Vast and the Hub in the environment: nothing that is written or shown holds one of them.

Runs there, also failing ones, with services that repeat the key in their errors; then everything is searched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from screen_text import shown, text_of

import run_stories
from fakes import cloud
from fakes.runpod import RunPod, runpod
from fakes.together import KEY as TOGETHER
from fakes.together import FakeTogether
from fakes.vast import vast
from lora_tui.cli.main import run as command
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace
from rented_runs import new_run
from ssh_servers import SshServer, fake_python, processes_of, ssh_server
from together_runs import dataset_of, done, run_of, service

HUB, VAST = "hf_PlantedTokenOfTheTests0123456789", "vast-planted-key-of-the-tests"
KEYS = {"Together": TOGETHER, "RunPod": cloud.KEY, "Vast": VAST, "the Hub": HUB}
_SHOWN = 16  # characters of a key that already give it away


def holding(text: bytes) -> list[str]:
    """Whose key, or the beginning of it, is in there."""
    return [name for name, key in KEYS.items() if key[:_SHOWN].encode() in text]


def searched(folder: Path) -> list[tuple[str, Path]]:
    """Every file below a folder that holds a key."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [(name, path) for path in files for name in holding(path.read_bytes())]


class Watched:
    """What this machine's processes show of themselves while the runs work."""

    def __init__(self, home: Path, ours: Path) -> None:
        self.arguments: set[str] = set()  # whose key was in a list of arguments
        self.there: dict[str, set[str]] = {}  # on the rented side: whose key was in a process's environment
        self.looks = 0
        self._home, self._ours = home, ours
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            for number in {*processes_of(self._home), *processes_of(self._ours)}:
                try:
                    line = Path(f"/proc/{number}/cmdline").read_bytes()
                    around = Path(f"/proc/{number}/environ").read_bytes()
                except OSError:  # it has ended meanwhile
                    continue
                self.looks += 1
                self.arguments.update(holding(line))
                if b"fakes/worker.py" in line:
                    self.there.setdefault("worker", set()).update(holding(around))


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as fake:
        yield fake


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SshServer]:
    with ssh_server(Path(os.environ["HOME"])) as server:
        server.path = str(fake_python(tmp_path / "bin").parent)
        yield server


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch, machine: SshServer) -> Iterator[RunPod]:
    with runpod(ssh=("127.0.0.1", machine.port), starts_after=0) as pods, vast() as other:
        for name, value in (("RUNPOD_BASE_URL", pods.url), ("RUNPOD_API_KEY", cloud.KEY)):
            monkeypatch.setenv(name, value)
        for name, value in (("VAST_BASE_URL", other.url), ("VAST_API_KEY", VAST), ("HF_TOKEN", HUB)):
            monkeypatch.setenv(name, value)
        machine.accepts = lambda line: any(line.split()[1] in box.asked["env"]["PUBLIC_KEY"] for box in pods.living)
        yield pods


async def screenshots(workspace: Workspace, folder: Path, failed: list[str]) -> int:
    """Monitor with every run and Train, as they look in a large terminal; how many. `failed`: words of each failure."""
    shot = 0
    async with LoraTuiApp(workspace, "monitor").run_test(size=(200, 60)) as pilot:
        left = list(failed)
        for _ in range(2 * len(failed)):
            await pilot.pause(0.5)
            left = [words for words in left if words not in text_of(pilot.app)]
            shot += 1
            (folder / f"screen-{shot}.svg").write_text(pilot.app.export_screenshot())
            await pilot.press("tab")
        assert left == [], text_of(pilot.app)
    async with LoraTuiApp(workspace, "train").run_test(size=(200, 60)) as pilot:
        await shown(pilot.app, "together", "runpod", "RTX 4090", seconds=90)  # it counts tokens first
        await pilot.pause(1.0)
        (folder / "screen-train.svg").write_text(pilot.app.export_screenshot())
    return shot + 1


def resumed_after_failures(run: Run, fails: Callable[[], None], mended: Callable[[], None]) -> str:
    """Start it into an error, then to its end; why it failed."""
    fails()
    why = done(run).failure
    assert why
    mended()
    view = done(run)
    assert view.state == "finished", view.failure
    return why


async def test_no_key_is_in_anything_that_is_written_or_shown(
    workspace: Workspace, together: FakeTogether, pods: RunPod, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Path(os.environ["HOME"])
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_base(workspace)
    run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    dataset = dataset_of(workspace, tmp_path)
    at_together = run_of(workspace, dataset)
    pod = Box(provider="runpod", gpu="RTX 4090", max_price=1.0, max_hours=2.0)
    on_pods = new_run(workspace, tmp_path, pod, base_there="owner/gated")
    fails_at_together = run_of(workspace, dataset)
    fails_on_pods = new_run(workspace, tmp_path, pod)
    with Watched(home, workspace.root) as watched:
        told = [
            resumed_after_failures(at_together, lambda: together.fail("estimate", 403, times=1000), together.mend),
            resumed_after_failures(on_pods, lambda: pods.fail(403), lambda: None),
        ]
        together.fail("create", 402, times=1000)
        pods.fail(402)
        told += [done(fails_at_together).failure, done(fails_on_pods).failure]
        together.mend()
    assert all("<key>" in words for words in told), "the services have repeated the key"
    assert watched.looks > 20
    assert watched.arguments == set()
    assert watched.there == {"worker": {"the Hub"}}, "a base may be gated; the rest is none of its business"
    together.fail("jobs", 403, times=1000)
    assert command(["together", "jobs"]) == 1
    together.mend()
    for words in (
        ["runs", "list"],
        *(["runs", "show", run.id] for run in supervisor.runs(workspace)),
        ["runs", "follow", fails_at_together.id],
        ["together", "jobs"],
        ["together", "files", "--json"],
        ["rented", "offers"],
        ["rented", "list"],
        ["rented", "offers", "--provider", "vast"],  # which does not take that key, and repeats it
        ["backends", "compare", "tiny", "--dataset", "small"],
        ["doctor"],
    ):
        command(["--workspace", str(workspace.root), *words])
    shots = await screenshots(workspace, tmp_path, ["planted 402", "planted fault"])
    assert shots == len(list(tmp_path.glob("screen-*.svg")))
    out, err = capfd.readouterr()
    assert "<key>" in err
    assert holding((out + err).encode()) == []
    assert searched(tmp_path) == searched(home) == []
    assert together.leaks == []
    ours = (at_together, on_pods, fails_at_together, fails_on_pods)
    assert all((run.folder / "journal.jsonl").stat().st_size for run in ours), "there was something to search"
    assert (workspace.runs / on_pods.id / "conductor.log").is_file()
