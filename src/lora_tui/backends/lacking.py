"""What a profile asks for that is not installed on this machine."""

from __future__ import annotations

import importlib.util

from lora_tui.workspace.profiles import Profile

QUANT = "pip install 'lora-tui[quant]', or choose another with training.optim = \"adamw_torch\"."


def missing(profile: Profile) -> str:
    """What the profile's optimizer lacks on this machine, in words; empty when nothing."""
    if "8bit" in profile.training.optim and importlib.util.find_spec("bitsandbytes") is None:
        return f"optim {profile.training.optim} needs bitsandbytes, which is not installed"
    return ""
