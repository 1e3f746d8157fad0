"""The wheel of the running files, and the bundle of a job, as another machine gets them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import lora_tui
from lora_tui.backends.rented import wheel
from lora_tui.backends.rented.bundle import bundle
from lora_tui.jobs.job import Box, Train, load_job
from lora_tui.jobs.supervisor import create
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile


@pytest.fixture(scope="module")
def built() -> bytes:
    return wheel.build()


def test_the_wheel_is_whole_and_the_same_each_time(built: bytes) -> None:
    assert wheel.build() == built
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/RECORD")).rpartition("/")[0]
        rows = list(csv.reader(archive.read(f"{about}/RECORD").decode().splitlines()))
        assert {row[0] for row in rows} == set(names)
        for name, digest, size in rows:
            if digest:
                data = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert (digest, size) == (f"sha256={found}", str(len(data)))
        assert f"Version: {lora_tui.__version__}" in archive.read(f"{about}/METADATA").decode()


def test_pip_takes_the_wheel_and_it_runs_with_its_profiles(built: bytes, tmp_path: Path) -> None:
    path = tmp_path / wheel.name()
    path.write_bytes(built)
    target = tmp_path / "there"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(path)], check=True, cwd=tmp_path)
    code = (
        "import lora_tui as l; from lora_tui.workspace import resources as r; print(l.__file__, r.shipped('profiles'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(target)}, cwd=tmp_path, capture_output=True, check=True
    )
    package, profiles = said.stdout.decode().split()
    assert Path(package).is_relative_to(target)
    assert Path(profiles).is_relative_to(target)
    assert list(Path(profiles).glob("*.toml"))


def _job(tmp_path: Path, **changes: str) -> Train:
    for name, content in (
        ("base/config.json", "{}"),
        ("base/.git/secret", "mine"),
        ("data/train.jsonl", "{}\n"),
        ("adapter/adapter_config.json", "{}"),
        ("chats.jsonl", "{}\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    given = {
        "base": str(tmp_path / "base"),
        "dataset": str(tmp_path / "data"),
        "start_from": str(tmp_path / "adapter"),
        "general": str(tmp_path / "chats.jsonl"),
    } | changes
    box = Box(provider="host", host="gpu")
    return Train(profile=Profile(name="p", model=Model(base="x")), elsewhere=box, python="/usr/bin/mine", **given)


def test_a_bundle_has_every_file_a_job_names_and_no_path_of_this_machine(workspace: Workspace, tmp_path: Path) -> None:
    run = create(workspace, _job(tmp_path), "p")
    made = bundle(run.file)
    for piece in made.pieces:  # as they would lie there
        path = tmp_path / "machine" / piece.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(piece.file.read_bytes() if piece.file else piece.data)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == piece.sha256
        assert path.stat().st_size == piece.size
    folder = tmp_path / "machine" / made.folder
    text = (folder / "job.toml").read_text()
    assert str(tmp_path) not in text
    assert "mine" not in text
    job = load_job(folder / "job.toml").job
    assert isinstance(job, Train)
    assert job.elsewhere is None
    assert (folder / job.base / "config.json").is_file()
    assert (folder / job.dataset / "train.jsonl").is_file()
    assert (folder / job.start_from / "adapter_config.json").is_file()
    assert (folder / job.general).read_text() == "{}\n"
    assert job.replay == ""
    assert not any(".git" in piece.path for piece in made.pieces)


def test_a_base_of_the_hub_is_named_and_not_sent(workspace: Workspace, tmp_path: Path) -> None:
    run = create(workspace, _job(tmp_path, base="Qwen/Qwen2.5-Coder-7B-Instruct"), "p")
    made = bundle(run.file)
    assert not any("store/base-" in piece.path for piece in made.pieces)


def test_a_bundle_whose_dataset_is_gone_says_so(workspace: Workspace, tmp_path: Path) -> None:
    run = create(workspace, _job(tmp_path, dataset=str(tmp_path / "gone")), "p")
    with pytest.raises(BadInput, match="the dataset of this run is gone"):
        bundle(run.file)
