"""Which part of a profile decides what one step takes: what was measured with it counts for other profiles too."""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.workspace.profiles import Profile

_ELSEWHERE = {
    "num_train_epochs",
    "max_steps",
    "gradient_accumulation_steps",
    "learning_rate",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "warmup_ratio",
    "weight_decay",
    "max_grad_norm",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "logging_steps",
    "eval_steps",
    "save_steps",
    "save_total_limit",
    "early_stopping_patience",
    "early_stopping_threshold",
    "load_best_model_at_end",
    "stop_on",
    "oom_retries",
    "report_to",
    "nice",
    "seed",
    "train_sampling_strategy",
}


def deciding(profile: Profile) -> dict[str, Any]:
    """The part of a profile that decides what a step takes, as plain data.

    How many steps there are, how fast they learn and what is done between them changes nothing about one.
    """
    data: dict[str, Any] = msgspec.to_builtins(profile)
    training = {key: value for key, value in data["training"].items() if key not in _ELSEWHERE}
    return {"model": data["model"], "lora": data["lora"], "training": training, "forgetting": data["forgetting"]}


def alike(one: Profile, other: Profile) -> bool:
    """Whether runs of both would go equally fast per token: what decides the work of a step is the same."""
    return _deciding(one) == _deciding(other)


def _deciding(profile: Profile) -> tuple[object, ...]:
    model, training = profile.model, profile.training
    return (
        model.load_in_4bit,
        model.load_in_8bit,
        training.bf16,
        training.fp16,
        training.gradient_checkpointing,
        training.packing,
        training.per_device_train_batch_size,
        profile.lora.target_modules,
        profile.lora.use_dora,
        profile.forgetting.kl > 0,  # one more forward pass
        training.engine,
    )
