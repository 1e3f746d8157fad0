"""Which engine a run gets: Unsloth where its own environment answers for it, else TRL with a plain word."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import msgspec
import pytest

from lora_tui import __version__
from lora_tui.backends import engines
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.journal import JournalReader, Started, Warned
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile, Training

WANTS = Profile(name="fast", model=Model(base="x"), training=Training(engine="unsloth"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real environment of its own, without anything in it."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder


def installed(environment: Path, name: str, version: str) -> None:
    """Let the environment say that it has a package, as an installer writes it down."""
    site = next((environment / "lib").glob("python*")) / "site-packages"
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def card(environment: Path, capability: tuple[int, int] | None) -> None:
    """A torch that sees a GPU of this compute capability, or none."""
    site = next((environment / "lib").glob("python*")) / "site-packages"
    (site / "torch.py").write_text(
        "class cuda:\n"
        f"    is_available = staticmethod(lambda: {capability is not None})\n"
        f"    get_device_capability = staticmethod(lambda: {capability})\n"
    )


def test_without_unsloth_trl_trains_and_the_journal_says_so(workspace: Workspace) -> None:
    profile, python, said = engines.chosen(workspace, WANTS, processes=1)
    assert (profile.training.engine, python) == ("trl", "")
    assert msgspec.structs.replace(profile, training=Training()) == msgspec.structs.replace(WANTS, training=Training())
    assert said[0].code == "engine"
    assert "TRL trains instead: not installed" in said[0].message
    assert f"lora-tui=={__version__} unsloth" in said[0].advice
    assert engines.chosen(workspace, msgspec.structs.replace(WANTS, training=Training()), processes=1)[2] == []


def test_its_environment_is_asked_what_it_has(
    workspace: Workspace, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = bare / "bin" / "python"
    monkeypatch.setenv(engines.VARIABLE, str(python))
    assert engines.unsloth(workspace).lacks == "unsloth is not in its environment"
    installed(bare, "unsloth", "2026.10.7")
    card(bare, None)
    assert engines.unsloth(workspace).lacks == f"its environment has no lora-tui, not {__version__}"
    installed(bare, "lora-tui", __version__)
    assert "no GPU" in engines.unsloth(workspace).lacks
    card(bare, (6, 1))
    assert "too old: compute capability 6.1" in engines.unsloth(workspace).lacks
    card(bare, (9, 0))
    found = engines.unsloth(workspace)
    assert (found.version, found.lacks) == ("2026.10.7", "")
    assert engines.chosen(workspace, WANTS, processes=1) == (WANTS, str(python), [])
    several, _, (word,) = engines.chosen(workspace, WANTS, processes=2)
    assert several.training.engine == "trl"
    assert "one GPU" in word.message


@pytest.mark.parametrize(
    ("script", "says"),
    [("exit 3", "it said nothing"), ("echo broken >&2; exit 1", "broken"), ("echo '[1]'", "it said nothing")],
)
def test_a_python_that_does_not_answer_is_named(workspace: Workspace, tmp_path: Path, script: str, says: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    found = engines.probed(str(python))
    assert found.lacks == f"its Python does not answer: {says}"
    assert str(python) in found.fix
    gone = engines.probed(str(tmp_path / "nowhere"))
    assert "does not answer" in gone.lacks


def test_the_run_is_started_with_the_python_of_its_engine(workspace: Workspace, tmp_path: Path) -> None:
    python = tmp_path / "python"
    line = '{"type":"started","pid":1,"host":"h","device":"\'"$1 $2"\'"}'
    python.write_text(f"#!/bin/sh\necho '{line}' >> journal.jsonl\n")
    python.chmod(0o755)
    job = Train(profile=WANTS, base="x", dataset="y", python=str(python))
    run = supervisor.create(workspace, job, "fast")
    supervisor.start(run)
    assert supervisor.wait(run, 10)
    (started,) = [event for event in JournalReader(run.journal).read() if isinstance(event, Started)]
    assert started.device == "-m lora_tui.worker"
    python.unlink()
    said = run.journal.read_bytes()
    with pytest.raises(BadInput, match="Python this run was started with is gone"):
        supervisor.start(run)
    assert run.journal.read_bytes() == said, "what it said last still counts"


def test_a_worker_whose_unsloth_breaks_goes_on_with_trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lora_tui.jobs.journal import Journal
    from lora_tui.worker import unsloth_model

    (tmp_path / "unsloth.py").write_text("raise NotImplementedError('Unsloth cannot find any torch accelerator')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    log = Journal(tmp_path / "journal.jsonl")
    assert not unsloth_model.patch(log)
    assert not unsloth_model.builds(WANTS)
    (word,) = [event for event in JournalReader(log.path).read() if isinstance(event, Warned)]
    assert "cannot find any torch accelerator" in word.message
    assert "unsloth" not in sys.modules
