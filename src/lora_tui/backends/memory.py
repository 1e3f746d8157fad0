"""How much memory a run needs, as a sum of its parts. Bytes throughout.

The parts and the constants: weights at their storage width; LoRA weights, gradients and Adam states in fp32
(16 B per trainable parameter); activations kept per token; the logits, about 14 B per vocabulary entry and token on a
stack that forms them in full (fitted on published measurements of Qwen models); the framework itself.
"""

from __future__ import annotations

import msgspec

from lora_tui.jobs.audit import Audited
from lora_tui.workspace.profiles import Profile

_TRAINABLE = 16  # weight 4, gradient 4, Adam 8
_FRAMEWORK = 900 * 1024**2
_ACTIVATION = 34  # bytes per token, layer and hidden unit at 16 bit (Korthikanti et al. 2022, §4, without attention)


class Estimate(msgspec.Struct, frozen=True):
    """The parts of the memory a run needs."""

    weights: int
    trainable: int
    activations: int
    framework: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.trainable + self.activations + self.framework


def estimate(audited: Audited, profile: Profile) -> Estimate:
    """Estimate from the counted dataset and the profile; the longest row that is trained on sets the activations."""
    width = 2 if profile.training.bf16 else 4
    tokens = min(audited.longest, audited.max_length) * profile.training.per_device_train_batch_size
    # Hidden size and depth are not counted by the audit; both follow from the parameter count of a dense
    # transformer: parameters ≈ 12 · layers · hidden², with layers ≈ hidden / 64.
    hidden = max(64.0, (audited.parameters * 64 / 12) ** (1 / 3))
    layers = max(1.0, hidden / 64)
    kept = 2 * hidden if profile.training.gradient_checkpointing else _ACTIVATION * hidden * width / 2
    return Estimate(
        weights=audited.parameters * width,
        trainable=audited.trainable_parameters * _TRAINABLE,
        activations=int(tokens * layers * kept),
        framework=_FRAMEWORK,
    )
