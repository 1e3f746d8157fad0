"""The [training] part of a profile in TRL's words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import torch
from transformers import get_scheduler
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames
from trl import SFTConfig

from lora_tui.worker import checkpoints, loading
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile


def sft_config(profile: Profile, folder: Path, device: str, *, validation: bool) -> SFTConfig:
    """[training] of the profile as trl.SFTConfig, with every surprising default of it switched off.

    Raises BadInput, which names the key, for an optimizer or a schedule that cannot be used.
    """
    training = profile.training
    _check_known(profile, "optim", training.optim, (item.value for item in OptimizerNames))
    _check_known(profile, "lr_scheduler_type", training.lr_scheduler_type, (item.value for item in SchedulerType))
    _check_schedule(profile)
    return SFTConfig(
        output_dir=str(folder / checkpoints.FOLDER),
        num_train_epochs=training.num_train_epochs,
        max_steps=training.max_steps,
        per_device_train_batch_size=training.per_device_train_batch_size,
        per_device_eval_batch_size=training.per_device_train_batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler_type,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=training.optim,
        bf16=device == "cuda" and loading.dtype_for(device, bf16=training.bf16) is torch.bfloat16,
        gradient_checkpointing=training.gradient_checkpointing,
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
    )


def _when(steps: int) -> str:
    return "steps" if steps else "epoch"


def _check_known(profile: Profile, key: str, value: str, known: Iterable[str]) -> None:
    names = list(known)
    if value in names:
        return
    near = get_close_matches(value, names, n=3, cutoff=0.3) or names[:3]
    raise BadInput(
        f"training.{key}: transformers knows no {value!r}",
        where=f"profile {profile.name}",
        fix=f"For example {' or '.join(near)}.",
    )


def _check_schedule(profile: Profile) -> None:
    """Some schedules need settings that a profile does not have; Trainer would say so only after the base is loaded."""
    name = profile.training.lr_scheduler_type
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    try:
        get_scheduler(name, optimizer, num_warmup_steps=1, num_training_steps=10)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"training.lr_scheduler_type: {name!r} needs settings that a profile does not have: {error}",
            where=f"profile {profile.name}",
            fix='Use "cosine", "linear" or "constant_with_warmup".',
        ) from error
