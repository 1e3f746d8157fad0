"""Profiles: the TOML recipe of one specialist, what it inherits, and what is laid over it for one run."""

from lora_tui.workspace.profiles.loading import load_profile, profile_paths
from lora_tui.workspace.profiles.schema import (
    Beginning,
    Data,
    Forgetting,
    Form,
    Lora,
    Model,
    Outcome,
    Profile,
    Shape,
    ToolTarget,
    Training,
    Verification,
)

__all__ = [
    "Beginning",
    "Data",
    "Forgetting",
    "Form",
    "Lora",
    "Model",
    "Outcome",
    "Profile",
    "Shape",
    "ToolTarget",
    "Training",
    "Verification",
    "load_profile",
    "profile_paths",
]
