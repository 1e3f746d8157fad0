"""The whole way on loopback: a machine rented, a tiny model really trained on it over SSH, its adapter at Together."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from fakes.cloud import KEY
from fakes.runpod import RunPod, runpod
from lora_tui.adapters import registry
from lora_tui.cli.main import run as command
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace import hosts, toml
from lora_tui.workspace.config import Host
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile
from rented_runs import ended, events, follow_until, mirrored_is_whole
from ssh_servers import OpenSsh, SshServer, add_host, fake_python, free_port, openssh, processes_of, ssh_server
from together_runs import dataset_of, service

WEIGHTS = "adapter_model.safetensors"

pytestmark = pytest.mark.engine


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def _asyncssh(folder: Path, cloud: RunPod) -> Iterator[SshServer]:
    home = Path(os.environ["HOME"])
    with ssh_server(home) as server:
        server.path = str(Path(sys.executable).parent)
        server.accepts = lambda line: any(line.split()[1] in _public_key(cloud) for _ in cloud.living)
        yield server


@contextlib.contextmanager
def _openssh(folder: Path, cloud: RunPod) -> Iterator[OpenSsh]:
    if not openssh():
        pytest.skip("OpenSSH's sshd is not installed")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {"HOME": os.environ["HOME"], "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    authorized = folder / "authorized_keys"
    server = OpenSsh(folder, authorized, given)
    cloud.before = lambda method, _: authorized.write_text(_public_key(cloud)) and None if cloud.living else None
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _public_key(cloud: RunPod) -> str:
    return str(cloud.living[0].asked["env"]["PUBLIC_KEY"])


@pytest.mark.parametrize("kind", [_asyncssh, _openssh], ids=["asyncssh", "OpenSSH"])
def test_a_model_is_trained_on_a_rented_machine_whose_connection_drops_twice(
    kind: Callable[..., contextlib.AbstractContextManager[SshServer | OpenSsh]],
    workspace: Workspace,
    new_run: Callable[..., Run],
    small_profile: Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = "Qwen/Qwen2.5-7B-Instruct"  # what Together is told; what is trained is the tiny one
    profile = msgspec.structs.replace(small_profile, model=Model(base=base))
    with runpod(starts_after=0, user=getpass.getuser()) as cloud, kind(tmp_path, cloud) as server:
        cloud.ssh = ("127.0.0.1", server.port)
        with service(monkeypatch) as together:
            monkeypatch.setenv("RUNPOD_API_KEY", KEY)
            monkeypatch.setenv("RUNPOD_BASE_URL", cloud.url)
            began = time.monotonic()
            box = Box(provider="runpod", gpu="RTX 4090", max_price=1.0, max_hours=2.0, upload_to_together=True)
            run = new_run(profile=profile, elsewhere=box)
            supervisor.start(run)
            try:
                follow_until(run, lambda view: view.step >= 2, "step 2", 200)
                assert server.abort()
                follow_until(run, lambda view: view.step >= 8, "step 8", 100)
                server.stop()
                server.start()
                view = ended(run, 150)
            finally:
                for number in processes_of(Path(os.environ["HOME"])):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
        assert view.state == "finished", view.failure
        print(f"trained elsewhere in {time.monotonic() - began:.1f} s")
        there = Path(os.environ["HOME"]) / ".cache" / "lora-tui" / "jobs" / run.id
        assert sha256(run.folder / "adapter" / WEIGHTS) == sha256(there / "adapter" / WEIGHTS)
        mirrored_is_whole(run, there)
        assert [item.step for item in view.metrics] == list(range(1, 21))
        assert cloud.living == []
        released = [event for event in events(run) if isinstance(event, journal.Released)]
        assert sum(event.cost for event in released) == pytest.approx(cloud.billed(), abs=0.001)
        uploaded = [event.id for event in events(run) if isinstance(event, journal.Remote) and event.kind == "model"]
        assert list(together.serving.models) == uploaded
        assert len(uploaded) == 1
        assert [adapter.label for adapter in registry.register_finished(workspace)] == ["small@1.0.0"]
        planted = (KEY, os.environ["TOGETHER_API_KEY"])
        for path in (path for path in workspace.root.rglob("*") if path.is_file()):
            assert not any(secret.encode() in path.read_bytes() for secret in planted), path


def test_a_run_on_two_hosts_trains_as_one(
    workspace: Workspace, new_run: Callable[..., Run], small_profile: Profile, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        for name in ("first", "second"):
            server = stack.enter_context(ssh_server(Path(os.environ["HOME"])))
            add_host(workspace, server, tmp_path / name, python=sys.executable, name=name)
        training = msgspec.structs.replace(small_profile.training, gradient_accumulation_steps=1, num_train_epochs=1)
        run = new_run(
            profile=msgspec.structs.replace(small_profile, training=training),
            elsewhere=Box(provider="host", host="first,second"),
            nnodes=2,
            address=f"127.0.0.1:{free_port()}",
        )
        supervisor.start(run)
        try:
            view = ended(run, 240)
        finally:
            for number in processes_of(tmp_path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
    assert view.state == "finished", view.failure
    assert view.started is not None
    assert view.started.world_size == 2
    assert view.step == view.total_steps > 0
    there = tmp_path / "first" / "jobs" / run.id / "adapter"
    assert (run.folder / "adapter" / WEIGHTS).read_bytes() == (there / WEIGHTS).read_bytes()
    assert not (tmp_path / "second" / "jobs" / run.id / "adapter").exists()


def test_the_command_line_trains_on_a_host_and_says_so(
    workspace: Workspace,
    tiny_base: Path,
    small_profile: Profile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset_of(workspace, tmp_path)
    profile = msgspec.structs.replace(small_profile, model=Model(base=str(tiny_base)))
    (workspace.profiles / "small.toml").write_text(toml.dump(profile))
    train = ["--workspace", str(workspace.root), "train", "small", "--dataset", "small", "--backend"]
    assert command([*train, "gpu"]) == 2
    assert "there is no backend 'gpu'" in capsys.readouterr().err
    with ssh_server(Path(os.environ["HOME"])) as server:
        hosts.add(
            workspace,
            "gpu",
            Host(
                address="127.0.0.1",
                port=server.port,
                folder=str(tmp_path / "box"),
                python=str(fake_python(tmp_path / "bin")),
            ),
        )
        assert command([*train, "gpu"]) == 2
        assert f"lora-tui hosts check gpu --trust {server.fingerprint}" in capsys.readouterr().err
        assert list(workspace.runs.iterdir()) == []
        trusted = ["hosts", "check", "gpu", "--trust", server.fingerprint]
        assert command([*train[:2], *trusted]) == 0
        assert command([*train, "gpu"]) == 0
    said = capsys.readouterr()
    assert "small on small@1 at gpu" in said.err
    assert "adapter small@1.0.0" in said.err
    assert command([*train, "runpod"]) == 2
    assert "costs money, and nobody is there to be asked" in capsys.readouterr().err
    assert command([*train, "gpu", "--to-together"]) == 2
    assert "TOGETHER_API_KEY is not set" in capsys.readouterr().err
