"""Profiles: the TOML recipe of one specialist. Keys are the names TRL and PEFT use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.resources import shipped

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
PartShare = Annotated[float, Meta(ge=0.0, lt=1.0)]  # something else must be there too
Rate = Annotated[float, Meta(gt=0.0)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$")]  # it names folders too
Shape = Literal["agent", "plain"]
Form = Literal["search-replace", "diff", "new-code"]
ToolTarget = Literal["opencode-v1", "opencode-v2", "as-recorded"]
Beginning = Annotated[str, Meta(pattern=r"^(gaussian|pissa|pissa_niter_\d+|eva|olora|orthogonal)$")]
Outcome = Literal["success", "unknown", "complained", "failed"]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[model] what is fine-tuned."""

    base: str  # a folder, a Hugging Face id, or "demo" for the tiny model that `lora-tui demo` makes
    load_in_4bit: bool = False  # QLoRA: the base as nf4 (bitsandbytes)
    load_in_8bit: bool = False


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[data] which examples, and how many are wanted before training makes sense.

    Shares are parts of one: 0.3 is 30 %. What a limit leaves out stands in the version's rejected.jsonl.
    """

    languages: tuple[str, ...] = ()  # empty: all
    # How many accepted examples are wanted: progress is measured by it. It cuts no version (see `rows`).
    target: NotNegative = 0  # in all
    targets: dict[str, NotNegative] = {}  # per language, as in {ruby = 300, swift = 100}
    min_confidence: Share = 0.0  # of the machine in its language; a person's word always counts
    outcomes: tuple[Outcome, ...] = ()  # empty: any
    models: tuple[str, ...] = ()  # only answers that these wrote; empty: any
    sources: tuple[str, ...] = ()  # empty: any
    accepted_by: Literal["anyone", "people"] = "anyone"  # rules and imports accept too
    # Limits hold for the version's different rows, before train is drawn from or repeated.
    synthetic_share: Share = 0.5  # of a language's rows, at most; 1: all may be
    # Of all rows, at most, where there are four repositories or more; 1: no limit. Where it would cost more than half
    # of the rows (one large repository beside small ones) it is not kept to, and the version says so.
    repository_share: Share = 0.3
    per_session: NotNegative = 0  # rows of one session with its subagents, at most; 0: all
    per_repository: NotNegative = 0  # rows of one repository or folder, at most; 0: all
    # What stands in train, as in {rust = 300}, whatever the target: of more rows some are drawn, fewer are repeated as
    # often as `repeat` allows; 0: all there are.
    rows: dict[str, NotNegative] = {}
    repeat: Annotated[int, Meta(ge=1, le=100)] = 1  # how often a row may stand in train to reach `rows`; 1: once
    # A chat file of general conversations to mix into train, against forgetting; a relative path is looked for in the
    # working folder, then in the workspace's.
    replay: str = ""
    replay_share: PartShare = 0.1  # of the rows of train, at most
    # How an example becomes a row. agent: the conversation with its tool calls, as the agent will have it again;
    # plain: the request with the files, then the edit. Commits and synthetic examples are plain always.
    shape: Shape = "agent"
    form: Form = "search-replace"  # how a plain answer writes its edit
    tool_target: ToolTarget = "opencode-v1"  # whose tool names an agent row speaks
    cap: NotNegative = 2000  # characters kept of a tool's output; 0: all
    context: NotNegative = 6_000  # characters of the session's earlier requests to show before this one; 0: none
    capture: str = ""  # the opencode agent whose captured prompt and tools the rows carry
    reasoning: bool = False  # keep what the model thought, for a base whose template shows it


class Lora(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[lora] passed to peft.LoraConfig under the same names."""

    r: Positive = 16
    lora_alpha: Positive = 16
    lora_dropout: Share = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    exclude_modules: tuple[str, ...] = ()
    # Weights that are no layer of their own, such as a mixture's experts: peft trains them by the parameter's name.
    target_parameters: tuple[str, ...] = ()
    rank_pattern: dict[str, Positive] = {}
    alpha_pattern: dict[str, Positive] = {}
    use_rslora: bool = False  # scale by alpha / sqrt(r) instead of alpha / r
    use_dora: bool = False
    # How A and B begin: true is PEFT's default; "pissa", "pissa_niter_4", "eva", "olora", "orthogonal", "gaussian".
    init_lora_weights: (
        bool | Annotated[str, Meta(pattern=r"^(gaussian|pissa|pissa_niter_\d+|eva|olora|orthogonal)$")]
    ) = True
    loraplus_lr_ratio: Annotated[float, Meta(ge=0.0)] = 0.0  # B learns so many times faster than A (LoRA+); 0: the same
    modules_to_save: tuple[str, ...] = ()  # trained whole and kept with the adapter; vLLM cannot load such adapters
    new_tokens: tuple[str, ...] = ()  # added to the tokenizer; only their embeddings are trained


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
    warmup_ratio: PartShare = 0.0  # of all steps; where warmup_steps is 0
    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    max_grad_norm: Rate = 1.0
    max_length: Positive = 4096
    optim: str = "adamw_torch"
    adam_beta1: PartShare = 0.9
    adam_beta2: PartShare = 0.999
    adam_epsilon: Rate = 1e-8
    # Which width the base is held and computed in. Left out: bf16 where the machine is fast with it, else fp32 (CPU) or
    # fp16 (older GPUs).
    bf16: bool | None = None
    fp16: bool = False
    gradient_checkpointing: bool = False
    packing: bool = False  # several rows in one, none of which sees another
    train_sampling_strategy: Literal["group_by_length", "random", "sequential"] = "group_by_length"
    logging_steps: Positive = 1
    eval_steps: NotNegative = 0
    save_steps: NotNegative = 0
    save_total_limit: Positive = 3
    early_stopping_patience: NotNegative = 0  # evaluations without a better eval loss; 0: never
    early_stopping_threshold: Annotated[float, Meta(ge=0.0)] = 0.0
    load_best_model_at_end: bool = False  # the adapter is that of the best eval loss; always so with early stopping
    # What ends a run by itself, beside warning of it: "nan", "exploding", "plateau", "eval_rising".
    stop_on: tuple[Literal["nan", "exploding", "plateau", "eval_rising"], ...] = ("nan",)
    oom_retries: NotNegative = 3  # how often it goes on with half the batch and twice the accumulation
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    parallel: Literal["auto", "ddp", "fsdp2"] = "auto"  # on several GPUs; auto: ddp, fsdp2 when the base does not fit
    threads: NotNegative = 0  # of the CPU; 0: as many as a measurement says
    nice: Annotated[int, Meta(ge=0, le=19)] = 0  # how far a run on the CPU stands back behind other work
    seed: int = 42


class Forgetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[forgetting] what keeps the base's (or the previous adapter's) abilities, and how forgetting is measured."""

    general: str = ""  # a chat file of general conversations to measure forgetting on; empty: the shipped one
    measure: bool = True
    # Rows mixed into training: "stored" rows of the chat file `replay_file`, or answers the model itself gives to its
    # questions before it is trained ("self").
    replay: Literal["", "stored", "self"] = ""
    replay_file: str = ""  # empty: the shipped general conversations
    replay_share: PartShare = 0.1
    kl: Annotated[float, Meta(ge=0.0)] = 0.0  # weight of KL(before || now) on the replay questions' texts
    l2: Annotated[float, Meta(ge=0.0)] = 0.0  # weight of the squared distance to the adapter it started from
    ewc: Annotated[float, Meta(ge=0.0)] = 0.0  # lambda of online EWC
    ewc_gamma: PartShare = 0.95  # how much of the earlier Fisher information stays


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[verification] the suite that says whether it is better."""

    suite: str = ""
    max_tokens: Positive = 256
    while_training: NotNegative = 3  # how many of its prompts are answered at every evaluation, to see it learn


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One specialist: base model, data selection, LoRA, training, verification."""

    name: Name
    model: Model
    description: str = ""
    data: Data = Data()
    lora: Lora = Lora()
    training: Training = Training()
    forgetting: Forgetting = Forgetting()
    verification: Verification = Verification()


def profile_paths(workspace: Workspace) -> dict[str, Path]:
    """Every known profile by name; a person's own in the workspace wins over a shipped one."""
    found: dict[str, Path] = {}
    for folder in (shipped("profiles"), workspace.profiles):
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.toml"))})
    return found


def load_profile(workspace: Workspace, name: str) -> Profile:
    """The profile called `name`, or the one in the file `name`. Raises BadInput with file, key and line."""
    path = Path(name) if name.endswith(".toml") else profile_paths(workspace).get(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted(profile_paths(workspace)))
        raise BadInput(f"there is no profile {name!r}", fix=f"Known profiles: {known}.")
    return toml.load(path, Profile)
