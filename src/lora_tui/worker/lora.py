"""The adapters a profile asks for, put on its base."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from peft import EvaConfig, LoraConfig
from torch import nn

from lora_tui.worker.new_tokens import trainable_indices
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile

_MLP = ("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
_NAMED = 12  # layers that an error names


def lora_config(profile: Profile, new_tokens: Collection[int] = (), *, tied: bool = True) -> LoraConfig:
    """[lora] of the profile as peft.LoraConfig; `new_tokens` are ids whose embeddings are trained.

    EVA keeps every layer's rank (rho 1), so that a resumed run has the shapes of its checkpoint.
    """
    lora = profile.lora
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules),
        exclude_modules=list(lora.exclude_modules) or None,
        target_parameters=list(lora.target_parameters) or None,
        rank_pattern=dict(lora.rank_pattern),
        alpha_pattern=dict(lora.alpha_pattern),
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        init_lora_weights=lora.init_lora_weights,
        eva_config=EvaConfig(rho=1.0) if lora.init_lora_weights == "eva" else None,
        modules_to_save=list(lora.modules_to_save) or None,
        trainable_token_indices=trainable_indices(new_tokens, tied=tied),
    )


def with_lora(model: Any, profile: Profile, new_tokens: Collection[int] = ()) -> Any:
    """`model` with fresh adapters.

    Raises BadInput when the base has none of the target modules, or when PEFT would train others than it is asked for:
    on a mixture of experts it turns "all-linear" and the names of an MLP into adapters on all routed experts, with
    twice the rank, and leaves the shared expert out (PEFT 0.21, its issue 3711).
    """
    from peft import get_peft_model

    _refuse_rewriting(model, profile)
    tied = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
    config = lora_config(profile, new_tokens, tied=tied)
    try:
        tuned = get_peft_model(model, config)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _explained(error, profile, model) from error
    if set(config.target_parameters or ()) != set(profile.lora.target_parameters):
        raise _rewritten(model, profile)
    return tuned


def without_beginning(profile: Profile) -> Profile:
    """The profile with PEFT's default first weights: for counting on weights that are not there."""
    return msgspec.structs.replace(profile, lora=msgspec.structs.replace(profile.lora, init_lora_weights=True))


def linear_names(model: Any) -> list[str]:
    """The last names of the base's own linear layers, without the head, the routers and what is inside experts."""
    found: dict[str, None] = {}
    for path, module in model.named_modules():
        name = path.rpartition(".")[2]
        if isinstance(module, nn.Linear) and "expert" not in path and name not in ("lm_head", "gate", "router"):
            found[name] = None
    return list(found)


def _refuse_rewriting(model: Any, profile: Profile) -> None:
    targets = profile.lora.target_modules
    wrong = targets == "all-linear" or any(name.rpartition(".")[2] in _MLP for name in targets)
    if wrong and _holds_experts(model):
        raise _rewritten(model, profile)


def _holds_experts(model: Any) -> bool:
    """Whether a layer keeps its experts as one weight of three dimensions (experts, outputs, inputs)."""
    return any(
        "expert" in path and weight.dim() == 3 for path, weight in model.named_parameters() if ".lora_" not in path
    )


def _rewritten(model: Any, profile: Profile) -> BadInput:
    targets = profile.lora.target_modules
    said = targets if isinstance(targets, str) else ", ".join(targets)
    safe = ", ".join(f'"{name}"' for name in linear_names(model) if name not in _MLP)
    paths = [path for path, _ in model.named_parameters() if "shared_expert." in path and path.endswith("proj.weight")]
    shared = dict.fromkeys("shared_expert." + path.rpartition("shared_expert.")[2] for path in paths)
    fix = f"Use target_modules = [{safe}]"
    if shared:
        fix += (
            f"; for the shared expert also target_parameters = [{', '.join(f'{chr(34)}{p}{chr(34)}' for p in shared)}]"
        )
    return BadInput(
        f"lora.target_modules: on this mixture of experts PEFT turns {said} into adapters on every routed expert and "
        "leaves the shared one out",
        where=f"profile {profile.name}",
        fix=f"{fix}.",
    )


def _explained(error: Exception, profile: Profile, model: Any) -> Exception:
    """PEFT's refusal in a profile's words; the error itself where it is no matter of the profile."""
    text, where = str(error), f"profile {profile.name}"
    names = linear_names(model)[:_NAMED]
    if "target modules" in text.lower() or "No modules were targeted" in text:
        return BadInput(
            f"the base has none of the modules in lora.target_modules: {profile.lora.target_modules}",
            where=where,
            fix=f'Use target_modules = "all-linear", or the names of the base\'s own layers: {", ".join(names)}.',
        )
    if "target_parameters" in text:
        return BadInput(
            f"the base has none of the weights in lora.target_parameters: {profile.lora.target_parameters}", where=where
        )
    if isinstance(error, ValueError | NotImplementedError):
        return BadInput(f"PEFT cannot do what [lora] asks for: {text.splitlines()[0]}", where=where)
    if "init_lora_weights" in text or "PiSSA" in text or "size mismatch" in text or "shape" in text:
        return BadInput(f"lora.init_lora_weights: {text.splitlines()[0]}", where=where)
    return error
