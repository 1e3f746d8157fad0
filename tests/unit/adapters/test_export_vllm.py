"""The command for vLLM: what vLLM would refuse is refused before, and the ranks follow from the adapters."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from adapter_folders import factors, write_adapter
from lora_tui.adapters.exporting.vllm import plan, write
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

MODULE = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "base 7B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["Qwen2ForCausalLM"]}))
    save_file({f"{MODULE}.weight": torch.zeros(32, 16)}, folder / "model.safetensors")
    return folder


def _adapter(tmp_path: Path, name: str, r: int, **config: Any) -> str:
    return str(write_adapter(tmp_path / name, factors({MODULE: (32, 16)}, r), r=r, **config))


def test_ranks_and_slots_follow_from_the_adapters(workspace: Workspace, tmp_path: Path, base: Path) -> None:
    paths = [_adapter(tmp_path, name, r) for name, r in (("rust", 8), ("go", 24), ("web", 4))]
    made = plan(workspace, paths, str(base), max_model_len=8192)
    words = list(made.command)
    assert words[:3] == ["vllm", "serve", str(base)]
    assert words[words.index("--max-lora-rank") + 1] == "32"
    assert words[words.index("--max-loras") + 1] == "4"
    assert int(words[words.index("--max-cpu-loras") + 1]) >= 4
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--lora-modules") + 1 :] == [
        f"{name}={path}" for name, path in zip(("rust", "go", "web"), paths, strict=True)
    ]
    assert made.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert any("rank 32" in note for note in made.notes)
    assert any(note.startswith("not checked") for note in made.notes)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "lora_only"}, "bias"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
    ],
)
def test_what_vllm_answers_500_for_is_refused_before(
    workspace: Workspace, tmp_path: Path, base: Path, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        plan(workspace, [_adapter(tmp_path, "x", 8, **config)], str(base))


def test_a_rank_that_vllm_has_no_room_for_is_refused(workspace: Workspace, tmp_path: Path, base: Path) -> None:
    with pytest.raises(BadInput, match="the most is 512"):
        plan(workspace, [_adapter(tmp_path, "x", 513)], str(base))


def test_an_adapter_of_another_base_and_two_of_one_name_are_refused(
    workspace: Workspace, tmp_path: Path, base: Path
) -> None:
    wrong = str(write_adapter(tmp_path / "wrong", factors({MODULE: (64, 16)}, 4)))
    with pytest.raises(BadInput, match="64 × 16 in the adapter and 32 × 16"):
        plan(workspace, [wrong], str(base))
    one, other = _adapter(tmp_path / "1", "x", 8), _adapter(tmp_path / "2", "x", 8)
    with pytest.raises(BadInput, match="two adapters would be called"):
        plan(workspace, [one, other], str(base))


def test_the_script_and_the_unit_run_the_same_words(workspace: Workspace, tmp_path: Path, base: Path) -> None:
    made = plan(workspace, [_adapter(tmp_path, "rust", 8)], str(base), host="0.0.0.0")
    assert any("--api-key" in note for note in made.notes)
    script, unit = write(made, tmp_path / "out")
    assert shlex.split(script.read_text().splitlines()[-1])[1:] == list(made.command)
    assert script.stat().st_mode & 0o111
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    assert shlex.split(line.removeprefix("ExecStart=")) == list(made.command)
    assert shlex.split(" ".join(made.shown).replace("\\ ", " "))[1:4] == list(made.command[:3])
