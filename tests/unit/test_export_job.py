"""A job for dstack or SkyPilot: one folder, the same bytes every time, and a script that really trains."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import run_stories
from lora_tui.backends.export import exporting, spread
from lora_tui.backends.export.exporting import Exported, export
from lora_tui.backends.export.job import job_file
from lora_tui.backends.export.machines import Machines
from lora_tui.cli.main import run
from lora_tui.dataset import versions
from lora_tui.jobs.job import Train, load_job
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def ready(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """rust@1, counted with a base that the Hub has."""
    monkeypatch.setattr("lora_tui.backends.local.check_intact", lambda dataset: None)
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_base(workspace)
    run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    return workspace


def made(workspace: Workspace, folder: Path, tool: exporting.Tool = "dstack", nodes: int = 1) -> Exported:
    from lora_tui.backends.compare.gpus import named

    kinds = tuple(kind for name in ("H100", "A100 80GB") if (kind := named(name)) is not None)
    file = job_file(workspace, run_stories.PROFILE, versions.find(workspace, "rust"))
    return export(tool, file, Machines(nodes, 2, 61, kinds), folder, env=("HF_TOKEN",))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_job_gives_the_same_bytes_and_every_file_its_hash(ready: Workspace, tmp_path: Path) -> None:
    made(ready, tmp_path / "one")
    made(ready, tmp_path / "two")
    first = contents(tmp_path / "one")
    assert first == contents(tmp_path / "two")
    sums = dict(reversed(line.split("  ")) for line in first["SHA256SUMS"].decode().splitlines())
    assert set(sums) == set(first) - {"SHA256SUMS", ".dstack.yml"}
    assert all(hashlib.sha256(first[path]).hexdigest() == digest for path, digest in sums.items())


def test_the_job_names_nothing_of_this_machine_and_no_secret(
    ready: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    made(ready, tmp_path / "out")
    for path, data in contents(tmp_path / "out").items():
        assert b"hf_planted_secret" not in data, path
        if not path.startswith("store"):
            assert str(tmp_path).encode() not in data, path
    job = load_job(tmp_path / "out" / "jobs" / "tiny-on-rust-1" / "job.toml").job
    assert isinstance(job, Train)
    folder = tmp_path / "out" / "jobs" / "tiny-on-rust-1"
    assert (folder / job.dataset / "train.jsonl").is_file()
    assert (folder / job.base / "config.json").is_file()


def test_dstack_gets_a_task_over_the_nodes_with_names_of_variables_alone(ready: Workspace, tmp_path: Path) -> None:
    found = made(ready, tmp_path / "out", nodes=2)
    task: dict[str, Any] = yaml.safe_load((tmp_path / "out" / ".dstack.yml").read_text())
    assert task["type"] == "task"
    assert task["nodes"] == 2
    assert task["resources"]["gpu"] == {"memory": "61GB..", "count": 2}
    assert "HF_TOKEN" in task["env"]
    assert {item["local_path"] for item in task["files"]} == {"SHA256SUMS", "jobs", "run.sh", "store"}
    assert found.command == ("dstack", "apply", "--file", ".dstack.yml")


def test_skypilot_gets_a_task_with_its_names_of_the_gpus(ready: Workspace, tmp_path: Path) -> None:
    found = made(ready, tmp_path / "out", "skypilot", nodes=2)
    task: dict[str, Any] = yaml.safe_load((tmp_path / "out" / "skypilot.yaml").read_text())
    assert task["num_nodes"] == 2
    assert task["resources"]["accelerators"] == {"H100": 2, "A100-80GB": 2}
    assert task["secrets"] == {"HF_TOKEN": ""}
    assert found.command[-3:] == ("--secret", "HF_TOKEN", "skypilot.yaml")


def test_a_folder_with_something_else_is_left_alone_and_an_earlier_export_is_replaced(
    ready: Workspace, tmp_path: Path
) -> None:
    made(ready, tmp_path / "out")
    kept = tmp_path / "out" / "runs" / "x" / "journal.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    made(ready, tmp_path / "out", "skypilot")
    assert kept.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="something else"):
        made(ready, tmp_path / "mine")


FAKE = """#!/bin/sh
# Says which part of the engine it was asked for.
printf '%s\\n' "$*" >> "$TOLD"
case "$*" in *spread*) mkdir -p runs/tiny-on-rust-1;; *worker*) mkdir adapter; echo {} > journal.jsonl;; esac
"""


@pytest.mark.parametrize(
    ("given", "spread_over", "rank"),
    [
        ({}, "--nnodes 1 --nproc 1 --address 127.0.0.1", "0"),
        (
            {
                "SKYPILOT_NUM_NODES": "2",
                "SKYPILOT_NODE_RANK": "1",
                "SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8",
                "SKYPILOT_NUM_GPUS_PER_NODE": "8",
            },
            "--nnodes 2 --nproc 8 --address 10.0.0.7",
            "1",
        ),
        (
            {
                "DSTACK_NODES_NUM": "2",
                "DSTACK_NODE_RANK": "0",
                "DSTACK_MASTER_NODE_IP": "10.1.0.3",
                "DSTACK_GPUS_PER_NODE": "4",
            },
            "--nnodes 2 --nproc 4 --address 10.1.0.3",
            "0",
        ),
        (
            {"NNODES": "3", "NODE_RANK": "2", "MASTER_ADDR": "gpu-a", "NPROC": "2"},
            "--nnodes 3 --nproc 2 --address gpu-a",
            "2",
        ),
    ],
)
def test_the_script_knows_its_machines_from_either_tool_or_from_what_it_is_told(
    ready: Workspace, tmp_path: Path, given: dict[str, str], spread_over: str, rank: str
) -> None:
    made(ready, tmp_path / "out")
    python = tmp_path / "python"
    python.write_text(FAKE)
    python.chmod(0o755)
    told = tmp_path / "told"
    output = tmp_path / "back"
    env = {
        "PATH": os.environ["PATH"],
        "LORA_TUI_PYTHON": str(python),
        "TOLD": str(told),
        "LORA_TUI_OUTPUT": str(output),
    }
    subprocess.run(["bash", str(tmp_path / "out" / "run.sh")], env=env | given, check=True, capture_output=True)
    first, second = told.read_text().splitlines()
    assert first.endswith(spread_over)
    assert second.endswith(f"lora_tui.worker job.toml --node-rank {rank}")
    assert output.exists() == (rank == "0")


def test_a_file_that_changed_on_the_way_is_not_trained_on(ready: Workspace, tmp_path: Path) -> None:
    made(ready, tmp_path / "out")
    train = next((tmp_path / "out" / "store").rglob("train.jsonl"))
    train.write_bytes(train.read_bytes()[:-1])
    ended = subprocess.run(["bash", str(tmp_path / "out" / "run.sh")], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "train.jsonl" in ended.stdout + ended.stderr


def test_a_job_spread_over_machines_says_where_the_first_is(ready: Workspace, tmp_path: Path) -> None:
    made(ready, tmp_path / "out")
    source = tmp_path / "out" / "jobs" / "tiny-on-rust-1" / "job.toml"
    target = tmp_path / "out" / "runs" / "tiny-on-rust-1" / "job.toml"
    arguments = [str(source), str(target), "--nnodes", "2", "--nproc", "4", "--address", "10.0.0.7"]
    assert spread.main(arguments) == 0
    job = load_job(target).job
    assert isinstance(job, Train)
    assert (job.nnodes, job.nproc, job.address) == (2, 4, "10.0.0.7:29500")
    assert msgspec.structs.replace(job, nnodes=1, nproc=1, address="") == load_job(source).job


def test_the_command_writes_it_and_says_what_starts_it(
    ready: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--workspace", str(ready.root), "export", "dstack", "tiny", "--dataset", "rust"]
    assert run([*asked, "--output", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["command"] == ["dstack", "apply", "--file", ".dstack.yml"]
    assert data["machines"]["gpus"] == 1
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run([*asked, "--output", str(tmp_path / "out"), "--run"]) == 2
    assert "there is no dstack on the PATH" in capsys.readouterr().err
    program = tmp_path / "dstack"
    program.write_text('#!/bin/sh\necho "$@" > told\n')
    program.chmod(0o755)
    assert run([*asked, "--output", str(tmp_path / "out"), "--run"]) == 0
    assert (tmp_path / "out" / "told").read_text() == "apply --file .dstack.yml\n"


def test_what_the_started_program_says_does_not_mix_with_the_json(
    ready: Workspace, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dstack"
    program.write_text("#!/bin/sh\necho submitted\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    asked = ["--workspace", str(ready.root), "export", "dstack", "tiny", "--dataset", "rust"]
    assert run([*asked, "--output", str(tmp_path / "out"), "--run", "--json"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["tool"] == "dstack"
    assert "submitted" in shown.err


def test_a_value_given_for_a_variable_is_refused_and_not_repeated(
    ready: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--workspace", str(ready.root), "export", "dstack", "tiny", "--dataset", "rust"]
    assert run([*asked, "--output", str(tmp_path / "out"), "--env", "HF_TOKEN=hf_planted_secret"]) == 2
    said = capsys.readouterr().err
    assert "a value is given for HF_TOKEN" in said
    assert "hf_planted_secret" not in said
    assert run([*asked, "--output", str(tmp_path / "out"), "--max-hours", "nan"]) == 2


def test_what_no_gpu_holds_is_refused_with_the_way_out(workspace: Workspace) -> None:
    from lora_tui.backends.compare.prices import prices
    from lora_tui.backends.compare.work import work
    from lora_tui.backends.export.machines import machines

    dataset = run_stories.write_dataset(workspace)
    large = msgspec.structs.replace(run_stories.PROFILE, model=run_stories.Model(base="Qwen/Qwen3-Coder-Next"))
    done = work(workspace, large, dataset, prices(workspace).formula)
    with pytest.raises(BadInput, match="no kind of GPU") as caught:
        machines(large, done)
    assert "fsdp2" in caught.value.fix
