"""`adapters import`: any adapter folder or archive of one becomes a version, and nothing else does."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from adapter_folders import PREFIX, factors, write_adapter
from lora_tui.adapters import checking, registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.taking_in import take_in
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

SHAPES = {"layers.0.q_proj": (8, 6), "layers.0.v_proj": (4, 6)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def adapter(folder: Path, **config: Any) -> Path:
    return write_adapter(folder, factors(SHAPES, 2), **{"r": 2, **config})


def packed(folder: Path, archive: Path, within: str = ".") -> Path:
    """A folder as .zip, .tar, .tar.gz or .tar.zst, at the path `within`."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in folder.iterdir():
                file.write(path, f"{within}/{path.name}")
        return archive
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz" if archive.suffix == ".gz" else "w") as tar:
        tar.add(folder, within)
    data = memory.getvalue()
    archive.write_bytes(zstandard.compress(data) if archive.suffix == ".zst" else data)
    return archive


def test_a_folder_of_another_tool_becomes_a_version(workspace: Workspace, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "my adapter!")
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: lab/base\n---\n# Theirs\n")
    (folder / "training_args.bin").write_bytes(b"\x80\x02")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "checkpoint-1").mkdir()
    taken = take_in(workspace, folder, note="from a friend")
    made = taken.adapter
    assert (made.label, made.metadata.base, made.metadata.licence) == ("my-adapter@1.0.0", "lab/base", "mit")
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "README.md",
        "README.original.md",
        "SHA256SUMS",
        "adapter_config.json",
        "adapter_model.safetensors",
        "metadata.toml",
        "tokenizer.json",
    ]
    assert "from a friend" in (made.folder / "README.md").read_text()
    assert taken.remarks == ("left out: training_args.bin",)
    assert checking.check(workspace, made.folder) == []
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (made.folder / name).read_bytes() == (folder / name).read_bytes()
    assert take_in(workspace, folder, version="3.0.0", name="other").adapter.label == "other@3.0.0"


@pytest.mark.parametrize("ending", [".tar.zst", ".tar.gz", ".tar", ".zip"])
@pytest.mark.parametrize("within", [".", "output/adapter"])
def test_an_archive_is_taken_in_wherever_the_adapter_lies_in_it(
    workspace: Workspace, tmp_path: Path, ending: str, within: str
) -> None:
    archive = packed(adapter(tmp_path / "made"), tmp_path / f"spec{ending}", within)
    made = take_in(workspace, archive).adapter
    assert made.label == "spec@1.0.0"
    assert checking.check(workspace, made.folder) == []
    assert [path.name for path in workspace.adapters.iterdir() if path.is_dir()] == ["spec"]


def test_a_folder_around_the_adapter_works_and_two_in_it_are_asked_about(workspace: Workspace, tmp_path: Path) -> None:
    adapter(tmp_path / "run" / "out" / "adapter")
    assert take_in(workspace, tmp_path / "run").adapter.label == "run@1.0.0"
    adapter(tmp_path / "run" / "out" / "checkpoint-2")
    with pytest.raises(BadInput, match="there are 2 adapters here: out/adapter, out/checkpoint-2"):
        take_in(workspace, tmp_path / "run")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BadInput, match="there is no adapter here"):
        take_in(workspace, tmp_path / "nothing")
    with pytest.raises(BadInput, match="there is no such file or folder"):
        take_in(workspace, tmp_path / "nowhere")
    snapshot = tmp_path / "models--lab--spec" / "snapshots" / ("a" * 40)
    assert take_in(workspace, adapter(snapshot)).adapter.label == "spec@1.0.0"


def test_a_version_of_another_workspace_keeps_what_is_known_of_it(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    about = Metadata(name="coder", version="1.4.0", base="lab/base", dataset="rust@3", steps=40, tags=("rust",))
    made = registry.add(other, about, lambda draft: shutil.copytree(adapter(tmp_path / "a"), draft, dirs_exist_ok=True))
    taken = take_in(workspace, made.folder).adapter
    assert taken.label == "coder@1.4.0"
    assert (taken.metadata.dataset, taken.metadata.steps, taken.metadata.tags) == ("rust@3", 40, ("rust",))
    assert taken.metadata.weights_sha256 == made.metadata.weights_sha256
    assert take_in(workspace, made.folder).adapter.label == "coder@1.4.1"
    assert not (taken.folder / "README.original.md").exists()


def test_a_base_that_is_not_named_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "spec", base_model_name_or_path=None)
    with pytest.raises(BadInput, match="which base this adapter was made for") as raised:
        take_in(workspace, folder)
    assert "--base" in raised.value.fix
    made = take_in(workspace, folder, base="lab/base").adapter
    assert made.metadata.base == "lab/base"
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("lab/base", 2)
    assert checking.check(workspace, made.folder) == []
    (folder / "README.md").write_text("---\nbase_model: lab/named\n---\n")
    assert take_in(workspace, folder).adapter.metadata.base == "lab/named"


def test_what_is_more_than_lora_is_told_and_taken(workspace: Workspace, tmp_path: Path) -> None:
    taken = take_in(
        workspace,
        adapter(tmp_path / "dora", use_dora=True, target_modules=["q_proj", "v_proj", "k_proj"]),
        base="lab/other",
    )
    assert taken.remarks == (
        "its config named another base, lab/base",
        "it is more than LoRA, use_dora: DoRA scales the base's rows too",
        "it has no weights for k_proj, one of its target modules",
    )


def test_what_cannot_be_used_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    broken = factors(SHAPES, 2)
    broken[f"{PREFIX}layers.0.q_proj.lora_A.weight"][0, 0] = float("nan")
    cases = {
        "are not finite": write_adapter(tmp_path / "nan", broken, r=2),
        "has rank 2, and adapter_config.json says 8": adapter(tmp_path / "rank", r=8),
        "it holds no lora_A and lora_B": write_adapter(tmp_path / "empty", {}, r=2, target_modules=[]),
        "there is no adapter_model.safetensors": adapter(tmp_path / "pickle"),
    }
    (tmp_path / "pickle" / "adapter_model.safetensors").rename(tmp_path / "pickle" / "adapter_model.bin")
    for why, folder in cases.items():
        with pytest.raises(BadInput, match=why):
            take_in(workspace, folder)
    with pytest.raises(BadInput, match="this is a pickle, which can run code"):
        take_in(workspace, tmp_path / "pickle" / "adapter_model.bin")
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(packed(tmp_path / "rank", tmp_path / "whole.tar.zst").read_bytes()[:-400])
    with pytest.raises(BadInput, match=r"the archive is damaged|there is no adapter here"):
        take_in(workspace, cut)
    assert registry.adapters(workspace) == []


@pytest.mark.parametrize("name", ["../escaped.json", "/tmp/escaped.json", "a/../../escaped.json"])
def test_an_archive_that_writes_outside_itself_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    content = b"{}"
    tar = tmp_path / "evil.tar"
    with tarfile.open(tar, "w") as file:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        file.addfile(info, io.BytesIO(content))
    zipped = tmp_path / "evil.zip"
    with zipfile.ZipFile(zipped, "w") as packing:
        packing.writestr(name, content)
    for archive in (tar, zipped):
        with pytest.raises(BadInput, match="names a path outside itself"):
            take_in(workspace, archive, name="evil")
    assert not list(tmp_path.rglob("escaped*"))


def test_links_in_an_archive_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"r": 2}')
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as file:
        link = tarfile.TarInfo("adapter_config.json")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        file.addfile(link)
    with pytest.raises(BadInput, match="there is no adapter here"):
        take_in(workspace, archive)
