"""The keys of a profile and what each may be. Their names are those of TRL and PEFT; their words are in keys.toml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
PartShare = Annotated[float, Meta(ge=0.0, lt=1.0)]  # something else must be there too
Rate = Annotated[float, Meta(gt=0.0, le=1e6)]  # a number: TOML knows inf too
NAME = r"^[a-z0-9][a-z0-9._-]*$"  # it names folders too
Name = Annotated[str, Meta(pattern=NAME)]
Shape = Literal["agent", "plain"]
Form = Literal["search-replace", "diff", "new-code"]
ToolTarget = Literal["opencode-v1", "opencode-v2", "as-recorded"]
Beginning = Annotated[str, Meta(pattern=r"^(gaussian|pissa|pissa_niter_\d+|eva|olora|orthogonal)$")]
Backend = Literal["local", "together", "rented"]
Outcome = Literal["success", "unknown", "complained", "failed"]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[model] what is fine-tuned."""

    base: str
    load_in_4bit: bool = False
    load_in_8bit: bool = False


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[data] which examples, and how many are wanted before training makes sense.

    Shares are parts of one: 0.3 is 30 %. What a limit leaves out stands in the version's rejected.jsonl.
    """

    languages: tuple[str, ...] = ()
    target: NotNegative = 0
    targets: dict[str, NotNegative] = {}
    min_confidence: Share = 0.0
    outcomes: tuple[Outcome, ...] = ()
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    accepted_by: Literal["anyone", "people"] = "anyone"
    synthetic_share: Share = 0.5
    repository_share: Share = 0.3
    per_session: NotNegative = 0
    per_repository: NotNegative = 0
    rows: dict[str, NotNegative] = {}
    repeat: Annotated[int, Meta(ge=1, le=100)] = 1
    replay: str = ""
    replay_share: PartShare = 0.1
    shape: Shape = "agent"
    form: Form = "search-replace"
    tool_target: ToolTarget = "opencode-v1"
    cap: NotNegative = 2000
    context: NotNegative = 6_000
    capture: str = ""
    reasoning: bool = False


class Lora(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[lora] passed to peft.LoraConfig under the same names."""

    r: Positive = 16
    lora_alpha: Positive = 16
    lora_dropout: PartShare = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    exclude_modules: tuple[str, ...] = ()
    target_parameters: tuple[str, ...] = ()
    rank_pattern: dict[str, Positive] = {}
    alpha_pattern: dict[str, Positive] = {}
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | Beginning = True
    loraplus_lr_ratio: Annotated[float, Meta(ge=0.0)] = 0.0
    modules_to_save: tuple[str, ...] = ()
    new_tokens: tuple[str, ...] = ()


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[training] passed to trl.SFTConfig under the same names."""

    engine: Literal["trl", "unsloth"] = "trl"
    num_train_epochs: Rate = 3.0
    max_steps: int = -1
    per_device_train_batch_size: Positive = 1
    gradient_accumulation_steps: Positive = 8
    learning_rate: Rate = 1e-4
    lr_scheduler_type: str = "cosine"
    lr_scheduler_kwargs: dict[str, float] = {}
    warmup_steps: Annotated[float, Meta(ge=0.0)] = 0.0
    warmup_ratio: PartShare = 0.0
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    max_grad_norm: Rate = 1.0
    max_length: Positive = 4096
    optim: str = "adamw_torch"
    adam_beta1: PartShare = 0.9
    adam_beta2: PartShare = 0.999
    adam_epsilon: Rate = 1e-8
    bf16: bool | None = None
    fp16: bool = False
    gradient_checkpointing: bool = False
    packing: bool = False
    train_sampling_strategy: Literal["group_by_length", "random", "sequential"] = "group_by_length"
    logging_steps: Positive = 1
    eval_steps: NotNegative = 0
    save_steps: NotNegative = 0
    save_total_limit: Positive = 3
    early_stopping_patience: NotNegative = 0
    early_stopping_threshold: Annotated[float, Meta(ge=0.0)] = 0.0
    load_best_model_at_end: bool = False
    stop_on: tuple[Literal["nan", "exploding", "plateau", "eval_rising"], ...] = ("nan",)
    oom_retries: NotNegative = 3
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    parallel: Literal["auto", "ddp", "fsdp2"] = "auto"
    threads: NotNegative = 0
    nice: Annotated[int, Meta(ge=0, le=19)] = 0
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 42  # what numpy takes


class Forgetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[forgetting] what keeps the base's (or the previous adapter's) abilities, and how forgetting is measured."""

    general: str = ""
    measure: bool = True
    replay: Literal["", "stored", "self"] = ""
    replay_file: str = ""
    replay_share: PartShare = 0.1
    kl: Annotated[float, Meta(ge=0.0)] = 0.0
    l2: Annotated[float, Meta(ge=0.0)] = 0.0
    ewc: Annotated[float, Meta(ge=0.0)] = 0.0
    ewc_gamma: PartShare = 0.95
    keep_fisher: bool = False


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[verification] the suite that says whether it is better."""

    suite: str = ""
    gates: tuple[str, ...] = ()
    max_tokens: Positive = 256
    while_training: NotNegative = 3


class Cycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cycle] what `lora-tui cycle` may do without being asked."""

    accept_confidence: Share = 0.0
    new_rows_only: bool = False
    opencode: bool = False


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One specialist: base model, data selection, LoRA, training, verification.

    `backends` has a table of other values per backend, as in [backends.together.lora].
    """

    name: Name
    model: Model
    description: str = ""
    data: Data = Data()
    lora: Lora = Lora()
    training: Training = Training()
    forgetting: Forgetting = Forgetting()
    verification: Verification = Verification()
    cycle: Cycle = Cycle()
    backends: dict[Backend, dict[str, Any]] = {}
