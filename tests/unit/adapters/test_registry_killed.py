"""The registry after a kill -9 at every step on the disk of register, import, tag and remove."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import killed
from adapter_folders import factors, write_adapter
from lora_tui.adapters import aliases, checking, registry, removal, stored, tags, tombstones
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.taking_in import take_in
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A small PEFT folder outside the workspace."""
    return write_adapter(tmp_path / "outside", factors({"layers.0.q_proj": (8, 6)}, 2), r=2)


@pytest.fixture
def workspace(tmp_path: Path, adapter: Path) -> Workspace:
    """With coder@1.0.0 in production and coder@1.0.1 beside it."""
    workspace = Workspace(tmp_path / "workspace")
    register(workspace, adapter)
    register(workspace, adapter)
    aliases.point(workspace, "coder", "production", "1.0.0", "the first")
    return workspace


def register(workspace: Workspace, adapter: Path, run: str = "") -> None:
    metadata = Metadata(name="coder", run=run)
    registry.add(workspace, metadata, lambda draft: shutil.copytree(adapter, draft, dirs_exist_ok=True))


def whole(workspace: Workspace) -> set[str]:
    """The labels that are listed; each is whole, and no folder is there that is not listed."""
    found = stored.registered(workspace)
    for item in found:
        assert checking.check(workspace, item.folder) == []
    assert {item.folder for item in found} == set(stored.folders(workspace))
    return {item.label for item in found}


def leftovers(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.adapters.rglob(".*") if path.name not in (".lock", ".removed")]


OLD = {"coder@1.0.0", "coder@1.0.1"}


def test_registering_leaves_a_whole_version_or_none_and_can_be_done_again(workspace: Workspace, adapter: Path) -> None:
    seen = set()
    for step in killed.at_every_step(workspace.root, lambda: register(workspace, adapter, run="run-7")):
        labels = whole(workspace)
        assert labels in (OLD, OLD | {"coder@1.0.2"}), step
        seen.add("coder@1.0.2" in labels)
        if "coder@1.0.2" in labels:
            with pytest.raises(LoraTuiError, match=r"registered already, as coder@1\.0\.2"):
                register(workspace, adapter, run="run-7")
        else:
            register(workspace, adapter, run="run-7")
        assert whole(workspace) == OLD | {"coder@1.0.2"}, step
        register(workspace, adapter)
        assert leftovers(workspace) == [], step
    assert seen == {False, True}
    assert whole(workspace) == OLD | {"coder@1.0.2"}


def test_importing_an_archive_leaves_a_whole_version_or_none_and_can_be_done_again(
    workspace: Workspace, adapter: Path, tmp_path: Path
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "theirs"), "gztar", adapter))
    for step in killed.at_every_step(workspace.root, lambda: take_in(workspace, archive, name="theirs")):
        assert whole(workspace) in (OLD, OLD | {"theirs@1.0.0"}), step
        take_in(workspace, archive, name="theirs")
        assert whole(workspace) in (OLD | {"theirs@1.0.0"}, OLD | {"theirs@1.0.0", "theirs@1.0.1"}), step
        assert leftovers(workspace) == [], step
    assert whole(workspace) == OLD | {"theirs@1.0.0"}


def test_a_promotion_is_done_or_not_done_and_its_history_says_the_same(workspace: Workspace) -> None:
    before = {"production": "coder@1.0.0"}
    after = {"production": "coder@1.0.1", "standby": "coder@1.0.0"}
    targets = {"production": "1.0.1", "standby": "1.0.0"}
    seen = []
    for step in killed.at_every_step(workspace.root, lambda: aliases.move(workspace, "coder", targets, "better")):
        now = aliases.aliases(workspace)["coder"]
        assert now in (before, after), step
        assert len(aliases.history(workspace, "coder")) == (1 if now == before else 3)
        seen.append(now == after)
        assert aliases.move(workspace, "coder", targets, "better")["production"] in ("coder@1.0.0", "coder@1.0.1")
        assert aliases.aliases(workspace)["coder"] == after
        assert len(aliases.history(workspace, "coder")) == 3
        assert leftovers(workspace) == [], step
    assert sorted(seen) == seen  # old before, new after, never back
    assert aliases.aliases(workspace)["coder"] == after
    assert whole(workspace) == OLD


def test_tags_are_old_or_new(workspace: Workspace) -> None:
    found = registry.find(workspace, "coder@1.0.1")
    tags.retag(workspace, found, add=["ruby"])
    for step in killed.at_every_step(workspace.root, lambda: tags.retag(workspace, found, ["rust"], ["ruby"])):
        assert tags.tags(workspace, found) in (("ruby",), ("rust",)), step
    assert tags.tags(workspace, found) == ("rust",)


def test_removing_leaves_a_whole_version_or_a_tombstone(workspace: Workspace, adapter: Path) -> None:
    seen = set()
    for step in killed.at_every_step(
        workspace.root, lambda: removal.remove(workspace, "coder@1.0.0", "too old", force=True)
    ):
        labels = whole(workspace)
        buried = [item.label for item in tombstones.tombstones(workspace)]
        assert (labels, buried) in ((OLD, []), ({"coder@1.0.1"}, ["coder@1.0.0"])), step
        assert aliases.aliases(workspace).get("coder", {}).get("production", "") in {"", *labels}, step
        seen.add(bool(buried))
        if not buried:
            removal.remove(workspace, "coder@1.0.0", "too old", force=True)
        register(workspace, adapter)
        removal.remove(workspace, "coder@1.0.2")
        assert whole(workspace) == {"coder@1.0.1"}, step
        assert not (workspace.adapters / "coder" / "1.0.0").exists(), step
    assert seen == {False, True}
    assert [(item.label, item.why) for item in tombstones.tombstones(workspace)] == [("coder@1.0.0", "too old")]
