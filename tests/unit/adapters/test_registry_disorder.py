"""The registry where something is not as it left it: moved and linked folders, killed publishers, full disks."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import killed
import run_stories
from adapter_folders import factors, write_adapter
from lora_tui.adapters import aliases, memory, registry, removal, stored, tags, tombstones
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.tombstones import Tombstone
from lora_tui.cli.main import run
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "outside", factors({"layers.0.q_proj": (8, 6)}, 2), r=2)


def register(workspace: Workspace, adapter: Path, name: str = "coder") -> Adapter:
    metadata = Metadata(name=name)
    return registry.add(workspace, metadata, lambda draft: shutil.copytree(adapter, draft, dirs_exist_ok=True))


def lora_tui(workspace: Workspace, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages of a command."""
    capsys.readouterr()
    code = run(["--workspace", str(workspace.root), "adapters", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def writable(folder: Path) -> list[Path]:
    return [path for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o222]


def test_a_version_whose_publisher_was_killed_is_read_only_when_anybody_has_looked(
    workspace: Workspace, adapter: Path
) -> None:
    register(workspace, adapter)
    open_for_a_while = 0
    for step in killed.at_every_step(workspace.root, lambda: register(workspace, adapter)):
        open_for_a_while += any(writable(folder) for folder in stored.folders(workspace))
        for item in registry.adapters(workspace):
            assert writable(item.folder) == [], step
    assert open_for_a_while


def test_an_adapter_is_not_called_as_a_file_of_the_registry(workspace: Workspace, adapter: Path) -> None:
    for name in ("aliases.json", "Tags.json"):
        with pytest.raises(BadInput, match="a file of the registry is"):
            register(workspace, adapter, name)
    assert aliases.aliases(workspace) == {}


def test_a_folder_that_was_moved_is_told_wherever_it_is_met(
    workspace: Workspace, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(workspace, adapter)
    (workspace.adapters / "coder").rename(workspace.adapters / "moved")
    code, out, said = lora_tui(workspace, capsys, "list")
    assert (code, "coder@1.0.0" in out) == (0, True)
    assert f"coder@1.0.0 lies in {workspace.adapters / 'moved' / '1.0.0'}" in said
    code, out, said = lora_tui(workspace, capsys, "verify", "coder@1.0.0")
    assert code == 1
    assert "it is of coder@1.0.0, and lies where moved@1.0.0 belongs" in out
    code, out, said = lora_tui(workspace, capsys, "remove", "coder@1.0.0")
    assert code == 2
    assert "move it back first" in said


def test_an_alias_that_points_nowhere_is_told(
    workspace: Workspace, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = register(workspace, adapter)
    register(workspace, adapter)
    aliases.point(workspace, "coder", "production", "1.0.0")
    killed.make_removable(made.folder)
    shutil.rmtree(made.folder)
    with pytest.raises(BadInput, match=r"coder@production is coder@1\.0\.0, which is not there"):
        registry.find(workspace, "coder@production")
    assert "coder@production is coder@1.0.0, which is not there" in lora_tui(workspace, capsys, "list")[2]
    code, out, _ = lora_tui(workspace, capsys, "verify", "--all", "--json")
    found: list[dict[str, Any]] = json.loads(out)
    assert code == 1
    assert [item["label"] for item in found if item["findings"]] == ["coder@production"]


def test_removing_a_version_that_is_a_link_takes_the_link_and_says_what_stays(
    workspace: Workspace, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = register(workspace, adapter)
    register(workspace, adapter)
    made.folder.chmod(0o755)
    other_disk = tmp_path / "other-disk"
    made.folder.rename(other_disk)
    made.folder.symlink_to(other_disk)
    code, _, said = lora_tui(workspace, capsys, "remove", "coder@1.0.0")
    assert (code, str(other_disk) in said) == (0, True)
    assert not made.folder.is_symlink()
    assert (other_disk / "adapter_model.safetensors").is_file()
    assert lora_tui(workspace, capsys, "remove", "coder@1.0.1")[0] == 0


def test_what_cannot_be_removed_does_not_keep_others_from_it(
    workspace: Workspace, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = register(workspace, adapter), register(workspace, adapter)
    really = shutil.rmtree

    def rmtree(path: Path, *arguments: Any, **settings: Any) -> None:
        if Path(path) == stuck.folder:
            raise PermissionError(1, "Operation not permitted")
        really(path, *arguments, **settings)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(LoraTuiError, match=r"coder@1\.0\.0 counts as removed, but its files cannot be: Operation not"):
        removal.remove(workspace, "coder@1.0.0")
    removal.remove(workspace, "coder@1.0.1")
    assert not other.folder.exists()
    monkeypatch.undo()
    register(workspace, adapter, "next")
    removal.remove(workspace, "next@1.0.0")
    assert not stuck.folder.exists()


def test_a_tombstone_that_names_another_folder_removes_nothing_there(workspace: Workspace, adapter: Path) -> None:
    register(workspace, adapter)
    kept = workspace.root / "datasets"
    (kept / "rust").mkdir(parents=True)
    removal.remove(workspace, "coder@1.0.0")
    grave = workspace.adapters / "coder" / ".removed" / "1.0.0.toml"
    grave.write_text(toml.dump(Tombstone("../datasets", "rust", 0.0)))
    register(workspace, adapter)
    removal.remove(workspace, registry.find(workspace, "coder").label)
    assert (kept / "rust").is_dir()
    assert "coder@1.0.0" in {item.label for item in tombstones.tombstones(workspace)}


def test_an_adapter_that_could_not_be_registered_is_told_and_why(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run_stories.write_finished(workspace)

    def copytree(source: Path, target: Path, **_: Any) -> None:
        raise shutil.Error([(str(source), str(target), "[Errno 28] No space left on device")])

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", copytree)
        code, _, said = lora_tui(workspace, capsys, "list")
        assert code == 0
        assert f"the adapter of the run {made.id} could not be registered" in said
        assert "[Errno 28] No space left on device" in said
        assert str(made.folder) not in said
        with pytest.raises(LoraTuiError, match="No space left on device"):
            registry.find(workspace, "tiny")
    assert [item.label for item in registry.adapters(workspace)] == ["tiny@1.0.0"]


def test_a_removed_adapter_is_not_taken_in_again_from_its_run(workspace: Workspace) -> None:
    made = run_stories.write_finished(workspace)
    assert [item.metadata.run for item in registry.adapters(workspace)] == [made.id]
    removal.remove(workspace, "tiny@1.0.0")
    assert registry.adapters(workspace) == []


def test_a_rank_that_no_server_takes_is_shown_and_a_slot_of_no_rank_refused(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = write_adapter(tmp_path / "large", factors({"layers.0.q_proj": (8, 6)}, 600), r=600)
    made = register(workspace, large)
    code, out, said = lora_tui(workspace, capsys, "show", "coder")
    assert code == 0, said
    assert "rank 600 is more than vLLM serves" in out
    with pytest.raises(BadInput, match="vLLM has no --max-lora-rank 700"):
        memory.serving_set([made], 700)


def test_a_folder_here_does_not_take_the_place_of_a_registered_name(
    workspace: Workspace, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(workspace, adapter)
    shutil.copytree(adapter, tmp_path / "coder")
    monkeypatch.chdir(tmp_path)
    assert registry.opened(workspace, "coder").label == "coder@1.0.0"
    assert registry.opened(workspace, "./coder").label == str(tmp_path / "coder")
    assert registry.opened(workspace, "outside").label == str(tmp_path / "outside")


def test_names_and_tags_that_several_give_at_once_are_all_kept(workspace: Workspace, adapter: Path) -> None:
    made = register(workspace, adapter)

    def give(number: int) -> None:
        for turn in "abc":
            aliases.point(workspace, "coder", f"alias-{number}{turn}", "1.0.0")
            tags.retag(workspace, made, [f"tag-{number}{turn}"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(give, range(6)))
    assert len(aliases.aliases(workspace)["coder"]) == 18
    assert len(aliases.history(workspace, "coder")) == 18
    assert len(tags.tags(workspace, made)) == 18


def test_a_tag_that_cannot_be_leaves_the_alias_where_it_was(
    workspace: Workspace, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(workspace, adapter)
    assert lora_tui(workspace, capsys, "tag", "coder", "candidate", "--domain", "no/tag")[0] == 2
    assert aliases.aliases(workspace) == {}
