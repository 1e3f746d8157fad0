"""FSDP2: the base in pieces over several GPUs, for one that does not fit one of them.

This needs two GPUs and has not been run by the project's tests: accelerate leaves FSDP out on a CPU. What is passed on
are accelerate's documented settings; the adapter is put together again before it is saved, so that it looks as any.
"""

from __future__ import annotations

import os
from typing import Any

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.worker import ranks

_EFFICIENT = {  # what from_pretrained looks at: the first process reads the weights, the others get them from it
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}


def wanted(job: Train, device: str, log: journal.Journal, *, room: int = 0) -> bool:
    """Whether the base is spread over the processes' GPUs; `room` is the memory of one, in bytes.

    "auto" does so where the plan says that one GPU cannot hold it.
    """
    parallel = job.profile.training.parallel
    if ranks.here().world == 1:
        return False
    if device != "cuda":
        if parallel == "fsdp2":
            log.write(
                journal.Warned(
                    message="FSDP2 spreads the base over GPUs: here every process holds all of it (DDP)",
                    code="parallel",
                )
            )
        return False
    return parallel == "fsdp2" or (parallel == "auto" and 0 < room < job.planned_bytes)


def prepare() -> None:
    """Before the base is loaded: let one process alone read it into memory."""
    os.environ.update(_EFFICIENT)


def is_prepared() -> bool:
    """Whether `prepare` was called."""
    return all(os.environ.get(name) == value for name, value in _EFFICIENT.items())


def settings() -> dict[str, Any]:
    """For SFTConfig."""
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "cpu_ram_efficient_loading": True,
            "state_dict_type": "FULL_STATE_DICT",
        },
    }


def is_sharded(trainer: Any) -> bool:
    """Whether the trainer's model is in pieces."""
    return bool(getattr(trainer.accelerator, "is_fsdp2", False))


def whole_weights(trainer: Any) -> dict[str, Any] | None:
    """The adapter's weights put together, where they are in pieces; every process must ask."""
    if not is_sharded(trainer):
        return None
    whole: dict[str, Any] = {}
    for name, value in trainer.model.named_parameters():
        if value.requires_grad:
            whole[name] = (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().cpu()
    return whole
