"""A profile's settings as Together's job takes them; what it cannot do is refused with the key and the limit.

Parameters: `fine_tuning.create` of the SDK. Together's batch is that of an optimizer step where
gradient_accumulation_steps is 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lora_tui.backends.together.limits import Limits
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile

_SCHEDULES = {"linear": "linear", "cosine": "cosine", "cosine_with_min_lr": "cosine"}
_PATIENCE_BESIDE = 2  # an evaluation to begin with, and one that is not counted: the least beside the patience


class Wrong(msgspec.Struct, frozen=True):
    """A key that Together cannot do as it stands."""

    key: str
    message: str
    fix: str


def problems(profile: Profile, limits: Limits) -> Iterator[Wrong]:
    """What of the profile Together cannot do, or allows otherwise."""
    yield from _training(profile, limits)
    yield from _lora(profile, limits)
    yield from _not_there(profile)


def refuse(profile: Profile, limits: Limits) -> None:
    """Raises BadInput for the first problem."""
    for wrong in problems(profile, limits):
        where = f"profile {profile.name}, base {limits.model_name}"
        raise BadInput(f"{wrong.key}: {wrong.message}", where=where, fix=wrong.fix)


def batch(profile: Profile, limits: Limits) -> tuple[int, int] | None:
    """Rows of a batch and how many batches are gathered into a step, as Together allows them; None where it cannot.

    Their product is the profile's own.
    """
    training = profile.training
    step = training.per_device_train_batch_size * training.gradient_accumulation_steps
    least, most = limits.lora_training.min_batch_size, limits.lora_training.max_batch_size
    for gathered in range(1, step + 1):
        if step % gathered == 0 and least <= step // gathered <= most:
            return step // gathered, gathered
    return None


def evaluations(profile: Profile, limits: Limits, validation: bool) -> int:
    """How often it is evaluated: once an epoch, and often enough for early stopping; 0 without validation rows."""
    if not validation:
        return 0
    patience = profile.training.early_stopping_patience
    wanted = max(int(profile.training.num_train_epochs), patience + _PATIENCE_BESIDE if patience else 1)
    return min(wanted, limits.max_num_evals)


def checkpoints(profile: Profile, limits: Limits) -> int:
    """How many checkpoints it keeps: one an epoch."""
    return max(1, min(int(profile.training.num_train_epochs), limits.max_num_checkpoints))


def arguments(profile: Profile, limits: Limits) -> dict[str, Any]:
    """What `create` is given of a profile that has no `problems`, but for model, files, evaluations and suffix."""
    training, lora = profile.training, profile.lora
    found = batch(profile, limits)
    assert found is not None
    modules = lora.target_modules
    asked: dict[str, Any] = {
        "n_epochs": int(training.num_train_epochs),
        "packing": training.packing,
        "max_seq_length": training.max_length,
        "batch_size": found[0],
        "gradient_accumulation_steps": found[1],
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": _SCHEDULES[training.lr_scheduler_type],
        "min_lr_ratio": training.lr_scheduler_kwargs.get("min_lr_rate", 0.0),
        "scheduler_num_cycles": training.lr_scheduler_kwargs.get("num_cycles", 0.5),
        "warmup_ratio": training.warmup_ratio or training.warmup_steps,
        "max_grad_norm": training.max_grad_norm,
        "weight_decay": training.weight_decay,
        "random_seed": training.seed,
        "lora": True,
        "lora_r": lora.r,
        "lora_alpha": lora.lora_alpha,
        "lora_dropout": lora.lora_dropout,
        "lora_trainable_modules": modules if isinstance(modules, str) else ",".join(modules),
        "train_on_inputs": "auto",
        "training_method": "sft",
    }
    if training.early_stopping_patience:
        asked |= {
            "early_stopping_enabled": True,
            "early_stopping_patience": training.early_stopping_patience,
            "early_stopping_min_delta": training.early_stopping_threshold,
        }
    return asked


def _training(profile: Profile, limits: Limits) -> Iterator[Wrong]:
    training = profile.training
    epochs = training.num_train_epochs
    if epochs != int(epochs) or epochs < 1:
        yield Wrong("training.num_train_epochs", f"Together trains whole epochs, not {epochs:g}", "Say 1, 2, 3, …")
    elif epochs > limits.max_num_epochs:
        yield _above("training.num_train_epochs", int(epochs), limits.max_num_epochs)
    if training.max_steps > 0:
        yield Wrong("training.max_steps", "Together counts in epochs, not in steps", "Leave it out.")
    if not limits.min_learning_rate <= training.learning_rate <= limits.max_learning_rate:
        allowed = f"{limits.min_learning_rate:g} to {limits.max_learning_rate:g}"
        yield Wrong("training.learning_rate", f"Together allows {allowed}, not {training.learning_rate:g}", _set())
    if training.max_length > limits.max_seq_length_sft:
        yield _above("training.max_length", training.max_length, limits.max_seq_length_sft)
    if training.max_length < limits.min_max_seq_length:
        least = limits.min_max_seq_length
        yield Wrong("training.max_length", f"the least at Together is {least}, not {training.max_length}", _set())
    if batch(profile, limits) is None:
        least, most = limits.lora_training.min_batch_size, limits.lora_training.max_batch_size
        step = training.per_device_train_batch_size * training.gradient_accumulation_steps
        message = f"{step} rows a step, and Together's batches have {least} to {most}"
        fix = (
            "That is the product with gradient_accumulation_steps: change one of them, in [backends.together.training]."
        )
        yield Wrong("training.per_device_train_batch_size", message, fix)
    if training.lr_scheduler_type not in _SCHEDULES:
        message = f"Together has linear and cosine, no {training.lr_scheduler_type!r}"
        yield Wrong("training.lr_scheduler_type", message, _set())
    if unknown := sorted(set(training.lr_scheduler_kwargs) - {"min_lr_rate", "num_cycles"}):
        yield Wrong("training.lr_scheduler_kwargs", f"Together has no {', '.join(unknown)}", "Leave it out.")
    if training.warmup_steps >= 1:
        yield Wrong("training.warmup_steps", "Together warms up for a share of the steps", "Say warmup_ratio = 0.03.")


def _lora(profile: Profile, limits: Limits) -> Iterator[Wrong]:
    lora, allowed = profile.lora, limits.lora_training
    if lora.r > allowed.max_rank:
        yield _above("lora.r", lora.r, allowed.max_rank)
    if not isinstance(lora.target_modules, str) and allowed.target_modules:
        unknown = [name for name in lora.target_modules if name not in allowed.target_modules]
        if unknown:
            known = ", ".join(allowed.target_modules)
            yield Wrong("lora.target_modules", f"Together adapts no {', '.join(unknown)}", f"It has {known}.")


def _not_there(profile: Profile) -> Iterator[Wrong]:
    lora, forgetting = profile.lora, profile.forgetting
    for key, asked in (
        ("lora.use_rslora", lora.use_rslora),
        ("lora.use_dora", lora.use_dora),
        ("lora.rank_pattern", lora.rank_pattern),
        ("lora.alpha_pattern", lora.alpha_pattern),
        ("lora.exclude_modules", lora.exclude_modules),
        ("lora.target_parameters", lora.target_parameters),
        ("lora.modules_to_save", lora.modules_to_save),
        ("lora.new_tokens", lora.new_tokens),
        ("lora.loraplus_lr_ratio", lora.loraplus_lr_ratio),
        ("lora.init_lora_weights", lora.init_lora_weights is not True),
        ("forgetting.replay", forgetting.replay),
        ("forgetting.kl", forgetting.kl),
        ("forgetting.l2", forgetting.l2),
        ("forgetting.ewc", forgetting.ewc),
        ("forgetting.keep_fisher", forgetting.keep_fisher),
    ):
        if asked:
            yield Wrong(key, "Together's engine does not have it", f"Leave it out there, or train elsewhere. {_set()}")


def _above(key: str, value: int, most: int) -> Wrong:
    return Wrong(key, f"the most at Together is {most}, not {value}", _set())


def _set() -> str:
    return "Another value for Together alone: its table [backends.together] in the profile, or --set KEY=VALUE."
