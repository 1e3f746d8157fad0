"""What of a profile cannot be together, or should be known: found without the engine and without the base."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Literal

import msgspec

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import conditions
from lora_tui.workspace.profiles.known import OPTIMIZERS, SCHEDULES, WHOLE_WEIGHTS, WITHOUT_WARMUP
from lora_tui.workspace.profiles.schema import Lora, Profile, Training, Verification

_VLLM = "vLLM cannot load such an adapter: merge it into its base before serving, or leave the key out."


class Problem(msgspec.Struct, frozen=True):
    """An error refuses the run; a warning is to be known."""

    severity: Literal["error", "warning"]
    key: str
    message: str
    fix: str = ""


def problems(profile: Profile) -> list[Problem]:
    """Everything, the errors first."""
    found = [*_widths(profile), *_schedule(profile.training), *_targets(profile.lora), *_beginnings(profile)]
    found += [*_served(profile.lora), *_best(profile.training), *_fisher(profile)]
    found += _gates(profile.verification)
    return sorted(found, key=lambda problem: problem.severity != "error")


def refuse(profile: Profile) -> None:
    """Raises BadInput for the first error of the profile."""
    for problem in problems(profile):
        if problem.severity == "error":
            what = f"{problem.key}: {problem.message}"
            raise BadInput(what, where=f"profile {profile.name}", fix=problem.fix)


def mutates_base(lora: Lora) -> bool:
    """Whether the first weights of the adapters are taken out of the base's, which then has others (PiSSA, OLoRA)."""
    return isinstance(lora.init_lora_weights, str) and lora.init_lora_weights.startswith(("pissa", "olora"))


def _error(key: str, message: str, fix: str = "") -> Problem:
    return Problem("error", key, message, fix)


def _warning(key: str, message: str, fix: str = "") -> Problem:
    return Problem("warning", key, message, fix)


def _widths(profile: Profile) -> Iterator[Problem]:
    if profile.training.bf16 and profile.training.fp16:
        yield _error("training.fp16", "bf16 and fp16 are both true", "Leave one of them out.")
    if profile.model.load_in_4bit and profile.model.load_in_8bit:
        yield _error("model.load_in_8bit", "load_in_4bit and load_in_8bit are both true", "Leave one of them out.")


def _schedule(training: Training) -> Iterator[Problem]:
    for key, value, known in (
        ("optim", training.optim, list(OPTIMIZERS)),
        ("lr_scheduler_type", training.lr_scheduler_type, list(SCHEDULES)),
    ):
        if value not in known:
            near = get_close_matches(value, known, n=3, cutoff=0.3) or known[:3]
            yield _error(f"training.{key}", f"transformers knows no {value!r}", f"For example {' or '.join(near)}.")
    if training.optim in WHOLE_WEIGHTS:
        yield _error("training.optim", f"{training.optim} is for training whole weights, not adapters", "adamw_torch")
    needed = SCHEDULES.get(training.lr_scheduler_type, ())
    if needed and not set(needed) & set(training.lr_scheduler_kwargs):
        yield _error(
            "training.lr_scheduler_type",
            f"{training.lr_scheduler_type!r} needs settings: {' or '.join(needed)}",
            f"For example lr_scheduler_kwargs = {{{needed[-1]} = {'0.1' if 'rate' in needed[-1] else '100'}}}.",
        )
    if (training.warmup_steps or training.warmup_ratio) and training.lr_scheduler_type in WITHOUT_WARMUP:
        key = "warmup_steps" if training.warmup_steps else "warmup_ratio"
        message = f"counts for nothing: the schedule {training.lr_scheduler_type!r} begins at the full learning rate"
        yield _warning(f"training.{key}", message, 'lr_scheduler_type = "constant_with_warmup" rises to it first.')
    if training.warmup_steps and training.warmup_ratio:
        yield _warning("training.warmup_ratio", "counts for nothing beside warmup_steps", "Leave one of them out.")


def _targets(lora: Lora) -> Iterator[Problem]:
    if not lora.target_modules and not lora.target_parameters:
        yield _error(
            "lora.target_modules",
            "it names no layer, so nothing would be trained",
            'For example target_modules = "all-linear".',
        )
    if isinstance(lora.target_modules, tuple) and "lm_head" in lora.target_modules:
        yield _error(
            "lora.target_modules",
            "TRL trains no adapter on lm_head",
            "Leave lm_head out; new_tokens trains the embeddings of new tokens.",
        )
    if not lora.target_parameters:
        return
    if lora.lora_dropout:
        yield _error(
            "lora.lora_dropout",
            "must be 0 with target_parameters, which have no input to drop from",
            "lora_dropout = 0",
        )
    if lora.use_dora:
        yield _error("lora.use_dora", "PEFT has no DoRA for target_parameters", "Leave one of them out.")
    yield _warning(
        "lora.target_parameters",
        "such an adapter can be merged into its base but not combined with another (PEFT's add_weighted_adapter), and "
        "vLLM cannot load it",
        "Leave target_parameters out for an adapter that is to be served beside others.",
    )


def _beginnings(profile: Profile) -> Iterator[Problem]:
    lora, key = profile.lora, "lora.init_lora_weights"
    if not isinstance(lora.init_lora_weights, str):
        return
    if mutates_base(lora) and (profile.model.load_in_4bit or profile.model.load_in_8bit):
        yield _error(
            key,
            f"{lora.init_lora_weights} takes the adapter out of the base's weights, which 8 and 4 bit do not hold",
            "Leave init_lora_weights out, or the quantisation.",
        )
    if lora.target_parameters and lora.init_lora_weights != "gaussian":
        yield _error(key, f"target_parameters cannot begin as {lora.init_lora_weights}", "Leave one of them out.")
    if lora.init_lora_weights == "orthogonal" and (lora.r % 2 or any(rank % 2 for rank in lora.rank_pattern.values())):
        yield _error(key, "orthogonal needs even ranks", "For example r = 16.")


def _served(lora: Lora) -> Iterator[Problem]:
    if lora.modules_to_save:
        yield _warning("lora.modules_to_save", "trains whole layers and keeps them with the adapter", _VLLM)
    if lora.new_tokens:
        yield _warning("lora.new_tokens", "the adapter carries a tokenizer and embeddings of its own", _VLLM)
    if lora.use_dora:
        yield _warning("lora.use_dora", "the adapter has a magnitude beside A and B", _VLLM)
    if 0 < lora.loraplus_lr_ratio < 1:
        yield _warning("lora.loraplus_lr_ratio", "B would learn slower than A, the opposite of LoRA+", "16 is usual.")


def _fisher(profile: Profile) -> Iterator[Problem]:
    if profile.forgetting.keep_fisher and mutates_base(profile.lora):
        yield _warning(
            "forgetting.keep_fisher",
            f"none is kept of an adapter that begins as {profile.lora.init_lora_weights}: it is saved as another, of "
            "twice the rank",
            "Leave init_lora_weights out where a later run is to be held to this one by EWC.",
        )


def _best(training: Training) -> Iterator[Problem]:
    """Which checkpoint is the best can be kept only where every evaluation has one."""
    if not (training.early_stopping_patience or training.load_best_model_at_end):
        return
    key = "early_stopping_patience" if training.early_stopping_patience else "load_best_model_at_end"
    both = training.eval_steps and training.save_steps
    if bool(training.eval_steps) != bool(training.save_steps) or (both and training.save_steps % training.eval_steps):
        yield _error(
            f"training.{key}",
            f"needs a checkpoint per evaluation: eval_steps {training.eval_steps}, save_steps {training.save_steps}",
            "Let save_steps be a multiple of eval_steps, or leave both out: at the end of every epoch.",
        )


def _gates(wanted: Verification) -> Iterator[Problem]:
    for text in wanted.gates:
        try:
            conditions.read(text)
        except BadInput as error:
            yield _error("verification.gates", error.what, error.fix)
    if wanted.gates and not wanted.suite:
        yield _warning("verification.gates", "nothing measures them without a suite", "Name one: verification.suite")
