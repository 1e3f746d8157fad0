"""What cannot be together in a profile is refused before anything starts; the shipped ones can."""

from __future__ import annotations

import pytest

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths
from lora_tui.workspace.profiles.loading import preset_paths
from lora_tui.workspace.profiles.sanity import problems, refuse


def test_every_shipped_profile_can_be_trained_with_every_preset(workspace: Workspace) -> None:
    for name in profile_paths(workspace):
        assert problems(load_profile(workspace, name)) == []
        for preset in preset_paths(workspace):
            assert problems(load_profile(workspace, name, presets=[preset])) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.bf16=true", "training.fp16=true"], "training.fp16: bf16 and fp16"),
        (["model.load_in_4bit=true", "model.load_in_8bit=true"], "model.load_in_8bit: "),
        (["training.optim=adamw_8bits"], "training.optim: transformers knows no 'adamw_8bits'"),
        (["training.optim=galore_adamw"], "training.optim: galore_adamw is for training whole weights"),
        (["training.lr_scheduler_type=cosin"], "training.lr_scheduler_type: "),
        (["training.lr_scheduler_type=cosine_with_min_lr"], "needs settings: min_lr or min_lr_rate"),
        (["lora.target_modules=[]"], "lora.target_modules: it names no layer"),
        (["lora.target_modules=q_proj,lm_head"], "lora.target_modules: TRL trains no adapter on lm_head"),
        (["lora.target_parameters=experts.down_proj", "lora.lora_dropout=0.1"], "lora.lora_dropout: must be 0"),
        (["lora.target_parameters=experts.down_proj", "lora.use_dora=true"], "lora.use_dora: "),
        (["lora.init_lora_weights=pissa", "model.load_in_4bit=true"], "lora.init_lora_weights: pissa takes"),
        (["lora.init_lora_weights=orthogonal", "lora.r=5"], "lora.init_lora_weights: orthogonal needs even ranks"),
        (["training.early_stopping_patience=2", "training.eval_steps=5"], "needs a checkpoint per evaluation"),
    ],
)
def test_what_cannot_be_together_is_refused_with_a_way_out(
    workspace: Workspace, settings: list[str], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        refuse(load_profile(workspace, "tiny", settings=settings))
    assert caught.value.fix


@pytest.mark.parametrize("key", ["modules_to_save", "new_tokens", "use_dora", "target_parameters"])
def test_what_vllm_cannot_load_is_told_before_it_is_trained(workspace: Workspace, key: str) -> None:
    value = "true" if key == "use_dora" else "['x']"
    found = problems(load_profile(workspace, "tiny", settings=[f"lora.{key}={value}"]))
    assert [(problem.severity, problem.key) for problem in found] == [("warning", f"lora.{key}")]
    assert "vLLM" in found[0].message + found[0].fix


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["training.lr_scheduler_type=constant", "training.warmup_steps=100"], "training.warmup_steps"),
        (["training.lr_scheduler_type=greedy", "training.warmup_ratio=0.1"], "training.warmup_ratio"),
        (["forgetting.keep_fisher=true", "lora.init_lora_weights=pissa"], "forgetting.keep_fisher"),
    ],
)
def test_a_setting_that_would_do_nothing_is_told(workspace: Workspace, settings: list[str], key: str) -> None:
    (found,) = problems(load_profile(workspace, "tiny", settings=["training.warmup_steps=0", *settings]))
    assert (found.severity, found.key) == ("warning", key)
    assert found.fix
