"""The registry: whole, immutable versions that are numbered by what they promise."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from adapter_folders import factors, write_adapter
from lora_tui.adapters import aliases, base_facts, registry, removal, tombstones
from lora_tui.adapters.metadata import Metadata, Source
from lora_tui.adapters.registry import Adapter
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

SHAPES = {"layers.0.q_proj": (8, 6), "layers.0.v_proj": (4, 6)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def base(folder: Path, *, words: str = "a b", template: str = "{{ messages }}", licence: str = "apache-2.0") -> Path:
    """A base as far as the registry looks at it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / "tokenizer.json").write_text(json.dumps({"vocab": words}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A base\n")
    return folder


def add(workspace: Workspace, seed: int = 0, shapes: dict[str, Any] = SHAPES, **about: Any) -> Adapter:
    def fill(draft: Path) -> None:
        made = write_adapter(draft / "made", factors(shapes, 2, seed=seed), r=2)
        for path in made.iterdir():
            path.rename(draft / path.name)
        made.rmdir()

    return registry.add(workspace, Metadata(**{"name": "coder", "base": "lab/base", **about}), fill)


def test_a_version_has_what_people_and_programs_need(workspace: Workspace, tmp_path: Path) -> None:
    model = base(tmp_path / "base")
    made = add(workspace, base=str(model), dataset="rust@3", profile="build-rust", steps=40, tags=("rust",))
    assert made.label == "coder@1.0.0"
    assert made.folder == workspace.adapters / "coder" / "1.0.0"
    assert toml.load(made.folder / "metadata.toml", Metadata) == made.metadata
    about = made.metadata
    assert (about.r, about.lora_alpha, about.target_modules) == (2, 16, ("q_proj", "v_proj"))
    assert about.parameters == 2 * (8 + 6) + 2 * (4 + 6)
    assert about.licence == "apache-2.0"
    assert len(about.weights_sha256) == len(about.tokenizer_hash) == len(about.template_hash) == 64
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=made.folder, capture_output=True, text=True)
    assert checked.returncode == 0
    assert sorted(line.split(":")[0] for line in checked.stdout.splitlines()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "metadata.toml",
    ]
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o444}
    assert made.folder.stat().st_mode & 0o777 == 0o555


def test_the_card_is_one_that_the_hub_reads(workspace: Workspace, tmp_path: Path) -> None:
    snapshot = base(tmp_path / "hub" / "models--Qwen--Qwen3-8B" / "snapshots" / ("a" * 40))
    made = add(workspace, base=str(snapshot), dataset="rust@3", profile="build-rust", steps=40, tags=("rust",))
    front = base_facts.front_matter(made.folder / "README.md")
    assert front == {
        "base_model": "Qwen/Qwen3-8B",
        "library_name": "peft",
        "license": "apache-2.0",
        "tags": ["base_model:adapter:Qwen/Qwen3-8B", "lora", "rust"],
    }
    text = (made.folder / "README.md").read_text()
    assert "trained by lora-tui for 40 steps on the dataset rust@3 with the profile `build-rust`" in text
    assert made.metadata.base_revision == "a" * 40
    settings = {"density": 0.2, "seed": 7, "space": "core"}
    sources = (Source("coder@1.0.0", 0.5), Source("other@1.0.0", 0.5))
    merged = add(
        workspace,
        1,
        strategy="ties",
        strategy_settings=settings,
        sources=sources,
        parents=tuple(item.label for item in sources),
    )
    text = (merged.folder / "README.md").read_text()
    assert "merged by lora-tui from coder@1.0.0 × 0.5, other@1.0.0 × 0.5 with the strategy `ties`" in text
    assert "| merge settings | density 0.2, seed 7, space core |" in text
    assert toml.load(merged.folder / "metadata.toml", Metadata).strategy_settings == settings


def test_peft_loads_a_version_as_it_is(workspace: Workspace) -> None:
    from peft import PeftModel

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj = torch.nn.Linear(6, 8, bias=False)
            self.v_proj = torch.nn.Linear(6, 4, bias=False)

    class Base(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([Layer()])
            self.config = {"model_type": "toy"}

        def prepare_inputs_for_generation(self) -> None: ...

    made = add(workspace)
    model = PeftModel.from_pretrained(Base(), str(made.folder))
    expected = factors(SHAPES, 2)["base_model.model.layers.0.q_proj.lora_A.weight"]
    assert torch.equal(model.base_model.model.layers[0].q_proj.lora_A["default"].weight, expected)


def test_numbers_say_what_changed(workspace: Workspace, tmp_path: Path) -> None:
    model = base(tmp_path / "base")
    where = {"base": str(model)}
    assert add(workspace, 0, **where).label == "coder@1.0.0"
    assert add(workspace, 0, note="the same weights again", **where).label == "coder@1.0.1"
    assert add(workspace, 1, **where).label == "coder@1.1.0"  # trained again
    assert add(workspace, 2, parents=("coder@1.0.0",), **where).label == "coder@1.2.0"
    base(model, template="{{ other }}")
    assert add(workspace, 3, **where).label == "coder@2.0.0"
    assert add(workspace, 4, **where).label == "coder@2.1.0"
    base(model, words="a b c", template="{{ other }}")
    assert add(workspace, 5, **where).label == "coder@3.0.0"
    assert add(workspace, 6, {"layers.0.q_proj": (8, 6)}, **where).label == "coder@4.0.0"
    assert add(workspace, 7, base="lab/other").label == "coder@5.0.0"
    assert add(workspace, 8, base="lab/other", base_revision="b" * 40).label == "coder@5.1.0"
    assert add(workspace, 9, base="lab/other", base_revision="c" * 40).label == "coder@5.2.0"  # as 5.0.0: not known
    assert add(workspace, 1, **where, name="reviewer").label == "reviewer@1.0.0"


def test_a_merge_knows_what_its_parents_know_of_a_base_that_is_not_here(workspace: Workspace) -> None:
    known = {"base_revision": "a" * 40, "tokenizer_hash": "b" * 64, "template_hash": "c" * 64, "licence": "mit"}
    add(workspace, 0, **known)
    made = add(workspace, 1, strategy="average", parents=("coder@1.0.0",)).metadata
    assert {key: getattr(made, key) for key in known} == known
    assert made.version == "1.1.0"
    assert add(workspace, 2, parents=("coder@1.0.0",)).metadata.tokenizer_hash == ""


def test_a_number_is_given_once(workspace: Workspace) -> None:
    add(workspace, 0)
    add(workspace, 1, version="1.4.0")
    with pytest.raises(LoraTuiError, match=r"coder@1\.4\.0 exists already"):
        add(workspace, 2, version="1.4.0")
    removal.remove(workspace, "coder@1.4.0", "worse")
    with pytest.raises(LoraTuiError, match=r"coder@1\.4\.0 was removed, and its number is not given again"):
        add(workspace, 2, version="1.4.0")
    assert add(workspace, 2).label == "coder@1.5.0"
    with pytest.raises(BadInput, match=r"'1\.4' is no version"):
        add(workspace, 2, version="1.4")
    with pytest.raises(BadInput, match="is no name for an adapter"):
        add(workspace, 2, name="../out")


def test_many_at_once_get_a_number_each(workspace: Workspace) -> None:
    threads = [threading.Thread(target=add, args=(workspace, seed)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.label for item in registry.adapters(workspace)) == [
        "coder@1.0.0",
        *(f"coder@1.{minor}.0" for minor in range(1, 6)),
    ]


def test_what_fails_while_it_is_filled_leaves_nothing(workspace: Workspace) -> None:
    def fill(draft: Path) -> None:
        (draft / "adapter_config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    with pytest.raises(LoraTuiError, match="cannot register coder: No space left on device"):
        registry.add(workspace, Metadata(name="coder"), fill)
    assert list((workspace.adapters / "coder").iterdir()) == []


def test_an_adapter_is_found_by_version_alias_or_folder(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, 0)
    newest = add(workspace, 1)
    assert registry.find(workspace, "coder").label == "coder@1.1.0"
    with pytest.raises(BadInput, match="there is no adapter 'coder@production'"):
        registry.find(workspace, "coder@production")
    aliases.point(workspace, "coder", "production", "1.0.0")
    assert registry.find(workspace, "coder@production").label == "coder@1.0.0"
    assert registry.opened(workspace, str(newest.folder)).label == "coder@1.1.0"
    elsewhere = write_adapter(tmp_path / "elsewhere", factors(SHAPES, 2), r=2, base_model_name_or_path="lab/theirs")
    found = registry.opened(workspace, str(elsewhere))
    assert (found.label, found.metadata.base, found.metadata.version) == (str(elsewhere), "lab/theirs", "")
    with pytest.raises(BadInput, match="it has no adapter_config"):
        registry.opened(workspace, str(tmp_path / "nothing"))


def test_what_is_in_production_is_not_removed_by_mistake(workspace: Workspace) -> None:
    add(workspace, 0)
    add(workspace, 1, parents=("coder@1.0.0",))
    aliases.move(workspace, "coder", {"production": "1.0.0", "candidate": "1.1.0"}, "it passed")
    with pytest.raises(BadInput, match=r"coder@1\.0\.0 is production"):
        removal.remove(workspace, "coder@1.0.0")
    with pytest.raises(BadInput, match="there is no adapter version 'coder'"):
        removal.remove(workspace, "coder")
    assert removal.descendants(workspace, "coder@1.0.0") == ["coder@1.1.0"]
    removal.remove(workspace, "coder@1.0.0", "it lies", force=True)
    assert aliases.aliases(workspace) == {"coder": {"candidate": "coder@1.1.0"}}
    (gone,) = tombstones.tombstones(workspace)
    assert (gone.label, gone.why) == ("coder@1.0.0", "it lies")
    assert [item.label for item in registry.adapters(workspace)] == ["coder@1.1.0"]
    with pytest.raises(BadInput, match=r"coder@1\.0\.0 was removed: it lies"):
        registry.find(workspace, "coder@1.0.0")


def test_the_history_says_what_was_promoted_when_and_why(workspace: Workspace) -> None:
    for seed in range(2):
        add(workspace, seed)
    assert aliases.point(workspace, "coder", "production", "coder@1.0.0", "the first") == ""
    assert aliases.point(workspace, "coder", "production", "1.1.0", "passes 9 of 10") == "coder@1.0.0"
    aliases.point(workspace, "coder", "production", "1.1.0", "again")  # nothing moved
    assert aliases.drop(workspace, "coder", "production", "too slow") == "coder@1.1.0"
    told = [(item.version, item.previous, item.why) for item in aliases.history(workspace, "coder")]
    assert told == [
        ("", "coder@1.1.0", "too slow"),
        ("coder@1.1.0", "coder@1.0.0", "passes 9 of 10"),
        ("coder@1.0.0", "", "the first"),
    ]
    for alias, version, why in (
        ("production", "9.0.0", "there is no adapter 'coder@9.0.0'"),
        ("history", "1.0.0", "cannot be an alias"),
        ("1.0.0", "1.0.0", "cannot be an alias"),
        ("nothing", "", "there is no alias 'nothing'"),
    ):
        with pytest.raises(BadInput, match=why):
            aliases.point(workspace, "coder", alias, version)
    (workspace.adapters / "aliases.json").write_text("{")
    with pytest.raises(LoraTuiError, match="the aliases cannot be read"):
        aliases.aliases(workspace)


def test_a_config_is_known_by_its_meaning(workspace: Workspace) -> None:
    from lora_tui.adapters.checksums import config_sha256

    one = {"r": 8, "target_modules": ["q_proj", "v_proj"], "lora_alpha": 16}
    same = {"lora_alpha": 16, "target_modules": ["v_proj", "q_proj"], "r": 8}
    assert config_sha256(one) == config_sha256(same)
    assert config_sha256(one) != config_sha256({**one, "r": 4})
    tokens = {"alora_invocation_tokens": [1, 2]}
    assert config_sha256(tokens) != config_sha256({"alora_invocation_tokens": [2, 1]})


def test_the_revision_of_a_base_in_the_cache_is_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--lab--base"
    base(repository / "snapshots" / ("d" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("d" * 40)
    about = add(workspace).metadata
    assert (about.base, about.base_revision, about.licence) == ("lab/base", "d" * 40, "apache-2.0")
    assert add(workspace, 1, base=str(repository / "snapshots" / ("d" * 40))).label == "coder@1.1.0"


def test_a_workspace_of_an_earlier_release_goes_on(workspace: Workspace) -> None:
    folder = workspace.adapters / "tiny" / "1.0.0"
    write_adapter(folder, factors(SHAPES, 2), r=2)
    (folder / "metadata.toml").write_text(
        'name = "tiny"\nversion = "1.0.0"\ncreated = 1.0\nbase = "lab/base"\nprofile = "tiny"\ndataset = "small@1"\n'
        'dataset_hash = ""\nrun = "r"\nsteps = 1\nr = 2\nlora_alpha = 16\n'
    )
    names = sorted(path.name for path in folder.iterdir())
    sums = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "SHA256SUMS").write_text(sums)
    found = registry.find(workspace, "tiny@1.0.0")
    assert registry.damaged_files(found) == []
    aliases.point(workspace, "tiny", "production", "1.0.0")
    assert add(workspace, 1, name="tiny").label == "tiny@1.1.0"
    shutil.copytree(found.folder, workspace.root / "kept")
    removal.remove(workspace, "tiny@1.0.0", force=True)
    assert [item.label for item in registry.adapters(workspace)] == ["tiny@1.1.0"]
