"""`adapters verify`: nothing of a version changes unseen."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter_folders import PREFIX, factors, write_adapter
from lora_tui.adapters import checking, registry
from lora_tui.adapters.metadata import Metadata
from lora_tui.adapters.registry import Adapter
from lora_tui.workspace.layout import Workspace

SHAPES = {"layers.0.q_proj": (8, 6), "layers.0.v_proj": (4, 6)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def add(workspace: Workspace, change: Callable[[dict[str, Any]], object] = lambda made: None, **about: Any) -> Adapter:
    """A version; `change` may alter its {tensors, config} before it is registered."""

    def fill(draft: Path) -> None:
        given: dict[str, Any] = {"tensors": factors(SHAPES, 2), "r": 2}
        change(given)
        write_adapter(draft / "made", given.pop("tensors"), **given)
        for path in (draft / "made").iterdir():
            path.rename(draft / path.name)
        (draft / "made").rmdir()

    return registry.add(workspace, Metadata(**{"name": "coder", "base": "lab/base", **about}), fill)


def found(workspace: Workspace, adapter: Adapter) -> list[tuple[str, str]]:
    return [(item.file, item.what) for item in checking.check(workspace, adapter.folder)]


def writable(adapter: Adapter) -> Path:
    for path in [adapter.folder, *adapter.folder.iterdir()]:
        path.chmod(0o755)
    return adapter.folder


FILES = ["README.md", "SHA256SUMS", "adapter_config.json", "adapter_model.safetensors", "metadata.toml"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_any_changed_byte_is_seen(tmp_path: Path, name: str, place: float, value: int) -> None:
    workspace = Workspace(tmp_path / "workspace")
    adapter = next(iter(registry.adapters(workspace)), None) or add(workspace)
    path = writable(adapter) / name
    whole = path.read_bytes()
    offset = int(place * len(whole))
    path.write_bytes(whole[:offset] + bytes([whole[offset] ^ value]) + whole[offset + 1 :])
    try:
        assert checking.check(workspace, adapter.folder) != []
    finally:
        path.write_bytes(whole)
    assert checking.check(workspace, adapter.folder) == []


def test_every_byte_of_the_checksums_counts(workspace: Workspace) -> None:
    adapter = add(workspace)
    path = writable(adapter) / "SHA256SUMS"
    whole = path.read_bytes()
    for offset in range(0, len(whole)):
        for flip in (0x01, 0x06, 0x20, 0x80):  # a line's end becomes another kind of one, letters change their case
            path.write_bytes(whole[:offset] + bytes([whole[offset] ^ flip]) + whole[offset + 1 :])
            assert list(checking.changed(adapter.folder)) != [], (offset, flip)
    path.write_bytes(whole)


def test_missing_extra_and_replaced_files_are_named(workspace: Workspace) -> None:
    adapter = add(workspace)
    folder = writable(adapter)
    assert found(workspace, adapter) == []
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("mine")
    shutil.copy(folder / "metadata.toml", folder / "other.toml")
    (folder / "metadata.toml").unlink()
    os.symlink(folder / "other.toml", folder / "metadata.toml")
    assert found(workspace, adapter) == [
        ("README.md", "it is missing"),
        ("metadata.toml", "it is no plain file"),
        ("notes.txt", "it was added"),
        ("other.toml", "it was added"),
    ]
    (folder / "SHA256SUMS").unlink()
    assert found(workspace, adapter)[0] == ("SHA256SUMS", "it cannot be read: No such file or directory")


def test_a_version_that_was_renamed_is_seen(workspace: Workspace) -> None:
    adapter = add(workspace)
    moved = adapter.folder.with_name("7.0.0")
    writable(adapter).rename(moved)
    (finding,) = checking.check(workspace, moved)
    assert finding.file == "metadata.toml"
    assert "it is of coder@1.0.0, and lies where coder@7.0.0 belongs" in finding.what


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_seen(workspace: Workspace, dtype: torch.dtype, value: float) -> None:
    def break_one(made: dict[str, Any]) -> None:
        made["tensors"] = factors(SHAPES, 2, dtype=dtype)
        made["tensors"][f"{PREFIX}layers.0.v_proj.lora_B.weight"][3, 1] = value

    assert found(workspace, add(workspace, break_one)) == [
        ("adapter_model.safetensors", f"{PREFIX}layers.0.v_proj.lora_B.weight: 1 of its 8 values are not finite")
    ]


@pytest.mark.parametrize(
    ("change", "file", "what"),
    [
        (
            lambda made: made.update(r=4),
            "adapter_model.safetensors",
            "layers.0.q_proj has rank 2, and adapter_config.json says 4",
        ),
        (
            lambda made: made.update(rank_pattern={"v_proj": 1}),
            "adapter_model.safetensors",
            "layers.0.v_proj has rank 2, and adapter_config.json says 1",
        ),
        (
            lambda made: made.update(target_modules=["q_proj"]),
            "adapter_model.safetensors",
            "layers.0.v_proj has weights, and it is no target module",
        ),
        (
            lambda made: made["tensors"].pop(f"{PREFIX}layers.0.q_proj.lora_B.weight"),
            "adapter_model.safetensors",
            "lora_A and lora_B of layers.0.q_proj do not fit together",
        ),
    ],
)
def test_weights_that_are_not_what_the_config_says_are_seen(
    workspace: Workspace, change: Callable[[dict[str, Any]], object], file: str, what: str
) -> None:
    assert (file, what) in found(workspace, add(workspace, change))


def test_a_target_given_as_a_pattern_or_as_all_is_understood(workspace: Workspace) -> None:
    for targets in ("all-linear", r".*\.(q|v)_proj"):
        assert found(workspace, add(workspace, lambda made, t=targets: made.update(target_modules=t))) == []
    wrong = add(workspace, lambda made: made.update(target_modules=r".*\.q_proj"))
    assert found(workspace, wrong)[0][1] == "layers.0.v_proj has weights, and it is no target module"


def test_a_target_that_the_base_does_not_have_is_no_fault(workspace: Workspace) -> None:
    made = add(workspace, lambda made: made.update(target_modules=["q_proj", "v_proj", "in_proj_qkvz"]))
    assert found(workspace, made) == []  # PEFT leaves it in the config


def test_another_base_than_its_parents_is_seen(workspace: Workspace) -> None:
    add(workspace, base_revision="a" * 40)
    other = add(workspace, base="lab/other", parents=("coder@1.0.0", "gone@1.0.0"))
    assert found(workspace, other) == [
        ("metadata.toml", "its base is lab/other, and that of its parent coder@1.0.0 is lab/base")
    ]
    later = add(workspace, base_revision="b" * 40, parents=("coder@1.0.0",))
    assert "of another revision of the base" in found(workspace, later)[0][1]
    assert found(workspace, add(workspace, base_revision="a" * 40, parents=("coder@1.0.0",))) == []


def test_a_config_and_checksums_that_were_both_changed_are_seen(workspace: Workspace) -> None:
    adapter = add(workspace)
    folder = writable(adapter)
    path = folder / "adapter_config.json"
    before = registry.checksums.sha256(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "lora_alpha": 64}))
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(before, registry.checksums.sha256(path)))
    assert found(workspace, adapter) == [("adapter_config.json", "this is not the config that its metadata names")]


def test_what_peft_really_saves_is_whole_whatever_its_kind(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    base = Qwen2Config(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    kinds: list[dict[str, Any]] = [
        {"target_modules": ["q_proj", "v_proj"], "use_rslora": True},
        {"target_modules": "all-linear", "exclude_modules": ["down_proj"]},
        {"target_modules": r".*\.(q|k)_proj"},
        {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"v_proj": 2, "layers.1.self_attn.q_proj": 8}},
        {"target_modules": ["q_proj"], "layers_to_transform": [1]},
        {"target_modules": ["q_proj"], "use_dora": True},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj"], "lora_bias": True},
    ]
    for number, kind in enumerate(kinds):
        folder = tmp_path / str(number)
        config = LoraConfig(task_type="CAUSAL_LM", r=4, **kind)
        get_peft_model(Qwen2ForCausalLM(base), config).save_pretrained(folder)
        assert checking.weights(folder) == [], kind
