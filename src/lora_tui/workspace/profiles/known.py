"""The names a profile may give for its optimizer and its schedule, known here without importing the engine.

They are those of transformers 5.23 (a test compares), and the schedule "exponential", which is our own.
"""

from __future__ import annotations

# name: the package it needs beside the engine; empty: none
OPTIMIZERS: dict[str, str] = {
    "adamw_torch": "",
    "adamw_torch_fused": "",
    "adamw_torch_xla": "torch_xla",
    "adamw_torch_npu_fused": "torch_npu",
    "adafactor": "",
    "adamw_anyprecision": "torchdistx",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "ademamix": "bitsandbytes",
    "sgd": "",
    "adagrad": "",
    "adamw_bnb_8bit": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "ademamix_8bit": "bitsandbytes",
    "lion_8bit": "bitsandbytes",
    "lion_32bit": "bitsandbytes",
    "paged_adamw_32bit": "bitsandbytes",
    "paged_adamw_8bit": "bitsandbytes",
    "paged_ademamix_32bit": "bitsandbytes",
    "paged_ademamix_8bit": "bitsandbytes",
    "paged_lion_32bit": "bitsandbytes",
    "paged_lion_8bit": "bitsandbytes",
    "rmsprop": "",
    "rmsprop_bnb": "bitsandbytes",
    "rmsprop_bnb_8bit": "bitsandbytes",
    "rmsprop_bnb_32bit": "bitsandbytes",
    "galore_adamw": "galore_torch",
    "galore_adamw_8bit": "galore_torch",
    "galore_adafactor": "galore_torch",
    "galore_adamw_layerwise": "galore_torch",
    "galore_adamw_8bit_layerwise": "galore_torch",
    "galore_adafactor_layerwise": "galore_torch",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "grokadamw": "grokadamw",
    "schedule_free_radam": "schedulefree",
    "schedule_free_adamw": "schedulefree",
    "schedule_free_sgd": "schedulefree",
    "apollo_adamw": "apollo_torch",
    "apollo_adamw_layerwise": "apollo_torch",
    "stable_adamw": "torch_optimi",
}

# Those that compress or fuse the training of whole weights: an adapter has none.
WHOLE_WEIGHTS = tuple(name for name in OPTIMIZERS if name.startswith(("galore_", "apollo_", "lomo", "adalomo")))

EXPONENTIAL = "exponential"

# name: the settings of which it needs one in lr_scheduler_kwargs; empty: none
SCHEDULES: dict[str, tuple[str, ...]] = {
    "linear": (),
    "cosine": (),
    "cosine_with_restarts": (),
    "polynomial": (),
    "constant": (),
    "constant_with_warmup": (),
    "inverse_sqrt": (),
    "reduce_lr_on_plateau": (),
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
    "greedy": (),
    EXPONENTIAL: (),
}

WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")  # transformers gives them no warm-up


def package_of(optim: str) -> str:
    """The package an optimizer needs beside the engine; empty: none, or an unknown name."""
    return OPTIMIZERS.get(optim, "")
