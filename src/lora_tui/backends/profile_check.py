"""Whether a profile can be trained: its keys, their combinations, what this machine lacks, and what its base has."""

from __future__ import annotations

import importlib.util
import os

import msgspec

from lora_tui.backends import bases, measure, shape
from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.lacking import lacking
from lora_tui.backends.shape import Shape
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.sanity import Problem, problems

_MLP = ("gate_proj", "up_proj", "down_proj")
_ENGINE = ("torch", "transformers", "trl", "peft")
_WIDTH = 4  # bytes: adapters are held in fp32


class Trained(msgspec.Struct, frozen=True):
    """Adapters on one kind of layer: how many layers, and the weights of all their adapters."""

    module: str
    count: int
    parameters: int

    @property
    def size(self) -> int:
        """Bytes of the weights alone; gradients and Adam's states take three times as much again."""
        return self.parameters * _WIDTH


class Checked(msgspec.Struct, frozen=True):
    """What was found. `trained` is empty where the base's shape is not known here."""

    problems: tuple[Problem, ...]
    trained: tuple[Trained, ...] = ()
    asked_engine: bool = False  # whether the base's own layers were looked at
    parameters: int = 0  # of the adapters, as the engine counts them; 0: it was not asked

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that refuse a run."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def check(workspace: Workspace, profile: Profile, *, base: str = "", progress: Tell = unheard) -> Checked:
    """Check `profile`, with the base in the folder `base` in the place of its own.

    The engine is asked only where the base is on this machine and the engine is installed: whether the target modules
    are there, and how large the adapters are. Raises BadInput for a `base` that is no model.
    """
    name = _base(workspace, profile, base)
    seen = check_without_engine(workspace, profile, base=base)
    if seen.errors or shape.config_file(name) is None or not _engine_here():
        return seen
    try:
        measured = measure.ensure(workspace, name, profile, progress=progress)
    except LoraTuiError as error:
        wrong = Problem("error", error.what.partition(": ")[0], error.what.partition(": ")[2] or error.what, error.fix)
        return msgspec.structs.replace(seen, problems=(wrong, *seen.problems), asked_engine=True)
    return msgspec.structs.replace(seen, asked_engine=True, parameters=measured.trainable)


def check_without_engine(workspace: Workspace, profile: Profile, *, base: str = "") -> Checked:
    """The part of `check` that takes no time: what the profile says, and what is known of the base's shape."""
    found = problems(profile) + lacking(profile)
    inside = shape.of_base(_base(workspace, profile, base))
    if inside is not None:
        found += fit_problems(profile, inside)
    refused = any(problem.severity == "error" for problem in found)
    return Checked(
        problems=tuple(sorted(found, key=lambda problem: problem.severity != "error")),
        trained=() if inside is None or refused else _trained(profile, inside),
    )


def fit_problems(profile: Profile, base: Shape) -> list[Problem]:
    """What a base of this shape cannot be trained with."""
    lora, found = profile.lora, []
    if base.experts:
        wrong = (
            "all-linear"
            if lora.target_modules == "all-linear"
            else ", ".join(name for name in lora.target_modules if name.rpartition(".")[2] in _MLP)
        )
        if wrong:
            found.append(
                Problem(
                    "error",
                    "lora.target_modules",
                    f"the base is a mixture of experts, where PEFT turns {wrong} into adapters on all "
                    f"{base.experts} experts of every layer and leaves the shared expert out",
                    safe_targets(base),
                )
            )
    if base.hybrid and profile.training.packing:
        found.append(
            Problem(
                "error",
                "training.packing",
                "the base has linear attention, which carries what it read in one row into the next",
                "Leave packing out.",
            )
        )
    if isinstance(lora.target_modules, tuple) and not base.experts:
        known = {item.name.rpartition(".")[2] for item in base.linears}
        missing = [name for name in lora.target_modules if name.rpartition(".")[2] not in known]
        if missing and len(missing) == len(lora.target_modules):
            found.append(
                Problem(
                    "error",
                    "lora.target_modules",
                    f"the base has none of the layers {', '.join(missing)}",
                    f"It has {', '.join(sorted(known))}.",
                )
            )
        elif missing:
            found.append(
                Problem(
                    "warning",
                    "lora.target_modules",
                    f"the base has no {', '.join(missing)}",
                    f"It has {', '.join(sorted(known))}.",
                )
            )
    return found


def safe_targets(base: Shape) -> str:
    """What to target on a mixture of experts, as lines of a profile."""
    names = [item.name for item in base.linears if not item.experts and "." not in item.name and "_proj" in item.name]
    names = [name for name in names if name not in _MLP or base.moe_layers < base.layers]
    quoted = ", ".join(f'"{name}"' for name in names if name not in _MLP)
    text = f"Use target_modules = [{quoted}]"
    if base.shared_intermediate:
        shared = ", ".join(f'"shared_expert.{name}.weight"' for name in _MLP)
        text += f"; for the shared expert also target_parameters = [{shared}]"
    return f"{text}."


def _trained(profile: Profile, base: Shape) -> tuple[Trained, ...]:
    lora = profile.lora
    found = []
    targets: tuple[str, ...] | str = lora.target_modules
    if not isinstance(targets, str):
        targets = (*targets, *(name.removesuffix(".weight") for name in lora.target_parameters))
    for item in base.targeted(targets):
        if item.name.rpartition(".")[2] in lora.exclude_modules:
            continue
        r = lora.rank_pattern.get(item.name.rpartition(".")[2], lora.r)
        count = item.count * max(1, item.experts)
        found.append(Trained(module=item.name, count=count, parameters=r * (item.inputs + item.outputs) * count))
    return tuple(found)


def _base(workspace: Workspace, profile: Profile, named: str) -> str:
    """The folder or id to look at; a base that is not there is no error of the profile."""
    if named:
        return bases.find(workspace, named)
    name = profile.model.base
    return str(bases.demo_base(workspace)) if name == bases.DEMO else os.path.expanduser(name)


def _engine_here() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in _ENGINE)
