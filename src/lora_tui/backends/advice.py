"""What a plan advises: rules as data, each with its reason and source (rules/advice.toml)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from lora_tui.backends.place import Place
from lora_tui.backends.shape import Shape
from lora_tui.jobs.audit import Audited, Counted
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Profile

TABLE = Path(__file__).with_name("rules") / "advice.toml"

Fact = bool | int | float
Facts = Mapping[str, Fact]

_COMPARE: dict[str, Callable[[Fact, Fact], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of the table; `try_` is written `try` there and holds what `--set` takes."""

    when: tuple[tuple[str, str, Fact], ...]
    text: str
    reason: str
    source: str
    speaks: dict[str, Fact]
    silent: dict[str, Fact]
    try_: tuple[str, ...] = msgspec.field(name="try", default=())

    def holds(self, facts: Facts) -> bool:
        """Whether every condition does; a fact that is not known makes none hold."""
        return all(name in facts and _COMPARE[sign](facts[name], value) for name, sign, value in self.when)


class Advice(msgspec.Struct, frozen=True):
    """What a rule says of this run."""

    id: str
    text: str
    reason: str
    source: str
    settings: tuple[str, ...] = ()  # that would follow it, as `--set` takes them


@lru_cache(maxsize=1)
def rules() -> dict[str, Rule]:
    """Every rule by its id. Raises BadInput for a damaged table."""
    return toml.load(TABLE, dict[str, Rule])


def advise(facts: Facts) -> tuple[Advice, ...]:
    """What the rules say of these facts, in the table's order."""
    return tuple(
        Advice(
            id=name,
            text=rule.text.format(**facts),
            reason=rule.reason,
            source=rule.source,
            settings=tuple(setting.format(**facts) for setting in rule.try_),
        )
        for name, rule in rules().items()
        if rule.holds(facts)
    )


def facts_of(
    profile: Profile,
    audited: Audited,
    shape: Shape,
    trainable: int,
    steps: int,
    place: Place,
    *,
    fast_bf16: bool,
    gpu_bf16: bool,
) -> dict[str, Fact]:
    """What the rules look at."""
    lora, training, train = profile.lora, profile.training, audited.train
    languages = sum(count for name, count in audited.by_language.items() if name)
    of_all = sum(audited.by_language.values())
    warm = training.warmup_steps or training.warmup_ratio * steps
    return {
        "rows": train.rows,
        "validation_rows": audited.splits.get("validation", Counted()).rows,
        "tokens": train.loss_tokens,
        "longest": train.longest,
        "steps": steps,
        "epochs": training.num_train_epochs,
        "warmup": (warm if warm < 1 else warm / steps) if steps else 0.0,
        "r": lora.r,
        "alpha": lora.lora_alpha,
        "scale": lora.lora_alpha / (math.sqrt(lora.r) if lora.use_rslora else lora.r),
        "dropout": lora.lora_dropout,
        "use_rslora": lora.use_rslora,
        "learning_rate": training.learning_rate,
        "code": languages / of_all if of_all else 0.0,
        "fp16": training.fp16,
        "bf16": bool(training.bf16),
        "gpu": place.gpu,
        "gpu_bf16": gpu_bf16,
        "fast_bf16": fast_bf16,
        "quantised": profile.model.load_in_4bit or profile.model.load_in_8bit,
        "trainable": trainable,
        "trained_per_token": trainable / train.loss_tokens if train.loss_tokens else 0.0,
        "checkpointing": training.gradient_checkpointing,
        "packing": training.packing,
        "hybrid": shape.hybrid,
        "moe": shape.experts > 0,
    }
