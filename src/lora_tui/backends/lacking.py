"""What a profile asks for that is not installed on this machine."""

from __future__ import annotations

import importlib.util

from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.known import package_of
from lora_tui.workspace.profiles.sanity import Problem

QUANT = "pip install 'lora-tui[quant]', or choose another with training.optim = \"adamw_torch\"."
_REPORTERS = (("wandb", "wandb"), ("mlflow", "mlflow"))


def lacking(profile: Profile) -> list[Problem]:
    """Every package that the profile needs and this machine does not have."""
    asked = [("training.optim", profile.training.optim, package_of(profile.training.optim))]
    asked += [
        (f"model.{key}", "", "bitsandbytes") for key in ("load_in_4bit", "load_in_8bit") if getattr(profile.model, key)
    ]
    asked += [
        ("training.report_to", name, package) for name, package in _REPORTERS if name in profile.training.report_to
    ]
    return [
        Problem(
            "warning",
            key,
            f"{value or key.rpartition('.')[2]} needs {package}, which is not installed on this machine",
            QUANT if package == "bitsandbytes" else f"Install {package} beside the engine, or leave it out.",
        )
        for key, value, package in asked
        if package and importlib.util.find_spec(package) is None
    ]


def missing(profile: Profile) -> str:
    """The first of them that no run can do without, in words; empty when nothing."""
    found = [problem for problem in lacking(profile) if problem.key != "training.report_to"]
    return f"{found[0].key}: {found[0].message}" if found else ""
