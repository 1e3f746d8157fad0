"""What is read of an adapter that PEFT saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from adapter_folders import PREFIX, factors, write_adapter
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.workspace.errors import BadInput

SHAPES = {"model.layers.0.self_attn.q_proj": (12, 8), "model.layers.0.self_attn.v_proj": (4, 8)}


def _tiny() -> Qwen2ForCausalLM:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=32, num_key_value_heads=2, **sizes))


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scale_and_factors_give_the_weights_that_peft_merges(tmp_path: Path, rslora: bool, dtype: torch.dtype) -> None:
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "down_proj"],
        use_rslora=rslora,
        rank_pattern={"layers.1.self_attn.q_proj": 2},
        alpha_pattern={"layers.1.self_attn.q_proj": 5, "down_proj": 3},
        init_lora_weights=False,
    )
    base = _tiny()
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    model = get_peft_model(base, config).to(dtype)
    model.save_pretrained(tmp_path / "adapter")
    merged = model.float().merge_and_unload().state_dict()
    with PeftFolder(tmp_path / "adapter") as adapter:
        assert len(adapter.modules) == 4
        assert {module.r for module in adapter.modules.values()} == {4, 2}
        assert adapter.obstacles() == []
        for name, module in adapter.modules.items():
            a, b = adapter.factors(name)
            change = merged[f"{name}.weight"] - before[f"{name}.weight"].to(dtype).float()
            assert np.allclose(module.scale * b @ a, change.numpy(), atol=1e-5)
            assert (module.rows, module.columns) == tuple(change.shape)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"lora_bias": True}, "lora_bias"),
        ({"init_lora_weights": "pissa_niter_16"}, "pissa_niter_16"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"peft_type": "LOHA"}, "LOHA"),
    ],
)
def test_what_is_more_than_lora_is_named_by_its_key(tmp_path: Path, config: dict[str, object], said: str) -> None:
    folder = write_adapter(tmp_path / "a", factors(SHAPES, 4), **config)
    with PeftFolder(folder) as adapter:
        assert [said in one for one in adapter.obstacles()] == [True]


def test_a_tensor_that_no_lora_has_is_named(tmp_path: Path) -> None:
    more = {f"{PREFIX}model.embed_tokens.lora_embedding_A": torch.ones(4, 8)}
    with PeftFolder(write_adapter(tmp_path / "a", factors(SHAPES, 4) | more)) as adapter:
        assert "lora_embedding_A" in adapter.obstacles()[0]


def test_a_folder_without_weights_says_why_a_pickle_is_not_read(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a", factors(SHAPES, 4))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(BadInput) as caught:
        PeftFolder(folder)
    assert "pickle" in str(caught.value.fix)


def test_factors_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    tensors = factors(SHAPES, 4)
    del tensors[f"{PREFIX}model.layers.0.self_attn.q_proj.lora_B.weight"]
    with pytest.raises(BadInput, match=r"lora_A and lora_B of model\.layers\.0\.self_attn\.q_proj"):
        PeftFolder(write_adapter(tmp_path / "a", tensors))


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_config_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    folder = write_adapter(tmp_path / "a", factors(SHAPES, 4))
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(BadInput, match="JSON"):
        PeftFolder(folder)
