"""The [training] part of a profile in TRL's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import get_scheduler
from trl import SFTConfig

from lora_tui.worker import checkpoints, loading
from lora_tui.worker.schedules import exponential
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile, Training
from lora_tui.workspace.profiles.known import EXPONENTIAL
from lora_tui.workspace.profiles.sanity import refuse


def sft_config(
    profile: Profile, folder: Path, device: str, *, validation: bool, sharding: dict[str, Any] | None = None
) -> SFTConfig:
    """[training] of the profile as trl.SFTConfig, with every surprising default of it switched off.

    sharding: what FSDP2 wants of it, where the base is in pieces over the GPUs.
    Raises BadInput, which names the key, for what cannot be together in the profile or on this device.
    """
    refuse(profile)
    training = profile.training
    _check_schedule(profile)
    width = loading.width_for(device, bf16=training.bf16, fp16=training.fp16)
    if width == "float16" and device != "cuda":
        raise BadInput(
            "training.fp16: float16 is trained in on an NVIDIA GPU only",
            where=f"profile {profile.name}",
            fix="Leave it out: the width is then chosen for this machine.",
        )
    return SFTConfig(
        output_dir=str(folder / checkpoints.FOLDER),
        num_train_epochs=training.num_train_epochs,
        max_steps=training.max_steps,
        per_device_train_batch_size=training.per_device_train_batch_size,
        per_device_eval_batch_size=training.per_device_train_batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        # Trainer does not know our exponential schedule: AssistantTrainer makes it.
        lr_scheduler_type="constant" if training.lr_scheduler_type == EXPONENTIAL else training.lr_scheduler_type,
        lr_scheduler_kwargs={} if training.lr_scheduler_type == EXPONENTIAL else dict(training.lr_scheduler_kwargs),
        warmup_steps=training.warmup_steps or training.warmup_ratio,  # below 1 it is a part of all steps
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=training.optim,
        adam_beta1=training.adam_beta1,
        adam_beta2=training.adam_beta2,
        adam_epsilon=training.adam_epsilon,
        bf16=device == "cuda" and width == "bfloat16",
        fp16=device == "cuda" and width == "float16",
        gradient_checkpointing=training.gradient_checkpointing,
        train_sampling_strategy=training.train_sampling_strategy,
        logging_steps=training.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy=_when(training.eval_steps) if validation else "no",
        eval_steps=training.eval_steps or None,
        save_strategy=_when(training.save_steps),
        save_steps=training.save_steps or 500,
        save_total_limit=max(2, training.save_total_limit),  # never the only one while its successor is being written
        seed=training.seed,
        data_seed=training.seed,
        use_cpu=device == "cpu",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        prediction_loss_only=True,
        disable_tqdm=True,
        report_to="none",
        **(sharding or {}),
    )


def _when(steps: int) -> str:
    return "steps" if steps else "epoch"


def schedule(
    training: Training, optimizer: torch.optim.Optimizer, warmup: int, total: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning-rate schedule of the profile over `total` optimizer steps, of which `warmup` rise."""
    settings = dict(training.lr_scheduler_kwargs)
    if training.lr_scheduler_type == EXPONENTIAL:
        return exponential(optimizer, warmup, total, **settings)
    return get_scheduler(
        training.lr_scheduler_type,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=total,
        scheduler_specific_kwargs=settings,
    )


def _check_schedule(profile: Profile) -> None:
    """Trainer would say so only after the base is loaded."""
    training = profile.training
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=training.learning_rate)
    try:
        schedule(training, optimizer, 1, 10)
    except (TypeError, ValueError) as error:
        given = ", ".join(training.lr_scheduler_kwargs) or "none"
        raise BadInput(
            f"training.lr_scheduler_kwargs: {training.lr_scheduler_type!r} cannot be made with the settings {given}: "
            f"{error}",
            where=f"profile {profile.name}",
            fix='Use its own settings, or another schedule: "cosine", "linear", "constant_with_warmup".',
        ) from error
