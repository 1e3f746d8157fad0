"""`adapters diff` and `adapters memory`, against dense weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapter_folders import PREFIX, delta, factors, write_adapter
from lora_tui.adapters import memory, registry
from lora_tui.adapters.difference import compare
from lora_tui.adapters.registry import Adapter
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

SHAPES = {"layers.0.q_proj": (24, 16), "layers.0.v_proj": (8, 16)}


def opened(folder: Path) -> Adapter:
    return registry.opened(Workspace(folder.parent / "workspace"), str(folder))


def test_angles_and_norms_are_those_of_the_dense_weights(tmp_path: Path) -> None:
    one = write_adapter(tmp_path / "one", factors(SHAPES, 4, seed=1), r=4, lora_alpha=8)
    mixed = factors(SHAPES, 4, seed=1)
    for key, value in factors(SHAPES, 4, seed=2).items():
        mixed[key] = torch.cat([mixed[key], value], dim=0 if ".lora_A." in key else 1)
    other = write_adapter(tmp_path / "other", mixed, r=8, lora_alpha=16, use_rslora=True)
    found = compare(opened(one), opened(other))
    for module in found.modules:
        first, second = delta(one, module.module, 8 / 4), delta(other, module.module, 16 / 8**0.5)
        assert module.norm == pytest.approx(float(first.norm()), rel=1e-6)
        assert module.other_norm == pytest.approx(float(second.norm()), rel=1e-6)
        assert module.ratio == pytest.approx(float(second.norm() / first.norm()), rel=1e-6)
        assert module.cosine == pytest.approx(float((first * second).sum() / first.norm() / second.norm()), rel=1e-6)
        assert module.distance == pytest.approx(float((first - second).norm() / first.norm()), rel=1e-6)
    flat = [torch.cat([delta(one, name, 2.0).flatten() for name in SHAPES])]
    flat.append(torch.cat([delta(other, name, 16 / 8**0.5).flatten() for name in SHAPES]))
    assert found.total.cosine == pytest.approx(float(torch.cosine_similarity(*flat, dim=0)), rel=1e-6)
    assert [(item.key, item.one, item.other) for item in found.config] == [
        ("lora_alpha", 8, 16),
        ("r", 4, 8),
        ("use_rslora", None, True),
    ]


def test_other_factors_of_the_same_weights_are_no_difference(tmp_path: Path) -> None:
    made = factors(SHAPES, 4)
    one = write_adapter(tmp_path / "one", made, r=4)
    turned = dict(made)
    for name in SHAPES:
        turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))[0]
        turned[f"{PREFIX}{name}.lora_A.weight"] = (turn.T @ made[f"{PREFIX}{name}.lora_A.weight"]).contiguous()
        turned[f"{PREFIX}{name}.lora_B.weight"] = made[f"{PREFIX}{name}.lora_B.weight"] @ turn
    other = write_adapter(tmp_path / "other", turned, r=4, target_modules=["v_proj", "q_proj"])
    found = compare(opened(one), opened(other))
    assert not found.same_weights
    assert found.total.cosine == pytest.approx(1, abs=1e-6)
    assert found.total.distance == pytest.approx(0, abs=1e-5)
    assert found.config == ()  # the order of the modules means nothing
    assert compare(opened(one), opened(one)).same_weights


def test_a_module_that_only_one_has_has_no_angle(tmp_path: Path) -> None:
    one = write_adapter(tmp_path / "one", factors(SHAPES, 4), r=4)
    other = write_adapter(tmp_path / "other", factors({"layers.0.q_proj": (24, 16)}, 4), r=4)
    found = {item.module: item for item in compare(opened(one), opened(other)).modules}
    lone = found["layers.0.v_proj"]
    assert lone.norm is not None
    assert (lone.other_norm, lone.cosine, lone.ratio, lone.distance) == (None, None, None, None)
    assert found["layers.0.q_proj"].cosine == pytest.approx(1)


def test_memory_of_a_serving_set_is_padded_to_the_largest_rank(tmp_path: Path) -> None:
    small = write_adapter(tmp_path / "small", factors({"layers.0.q_proj": (24, 16)}, 4), r=4)
    large = write_adapter(tmp_path / "large", factors(SHAPES, 20), r=20)
    found = memory.serving_set([opened(small), opened(large)])
    assert found.max_lora_rank == 32  # the next that is allowed above 20
    assert found.max_loras == 3
    assert [(item.r, item.served) for item in found.adapters] == [(4, 32 * 2 * 40), (20, 32 * 2 * (40 + 24))]
    assert found.slot == 32 * 2 * (40 + 24)
    assert found.total == 3 * found.slot
    assert found.adapters[1].file == (large / "adapter_model.safetensors").stat().st_size
    assert memory.serving_set([opened(small)], 128).slot == 128 * 2 * 40
    with pytest.raises(BadInput, match="has rank 20, more than 16"):
        memory.serving_set([opened(large)], 16)
    with pytest.raises(BadInput, match="rank 600 is more than vLLM serves: 512"):
        memory.serving_rank([600])
