"""How much memory a run needs, as a sum of its parts. Bytes throughout.

The parts and the constants: weights at their storage width; LoRA weights, gradients and Adam states in fp32
(16 B per trainable parameter); activations kept per token; the logits; the framework itself. Logits are counted in
full on a GPU, about 14 B per vocabulary entry and token (fitted on published measurements of Qwen models); a TRL that
fuses head and loss needs less. On a CPU they are formed only where there is a label, in fp32, once forward and once
as their gradient.
"""

from __future__ import annotations

import msgspec

from lora_tui.jobs.audit import Audited
from lora_tui.jobs.measured import Measured
from lora_tui.workspace.profiles import Profile

_TRAINABLE = 16  # weight 4, gradient 4, Adam 8
_FULL_LOGITS = 14
_LABEL_LOGITS = 8
_FRAMEWORK = 900 * 1024**2
_ACTIVATION = 34  # bytes per token, layer and hidden unit at 16 bit (Korthikanti et al. 2022, §4, without attention)


class Estimate(msgspec.Struct, frozen=True):
    """The parts of the memory a run needs."""

    weights: int
    trainable: int
    activations: int
    logits: int
    framework: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.trainable + self.activations + self.logits + self.framework


def estimate(audited: Audited, measured: Measured, profile: Profile, *, gpu: bool) -> Estimate:
    """Estimate from the audit, the measured base and the profile; the longest row trained on sets what is kept."""
    width = 2 if gpu or profile.training.bf16 else 4  # as the worker loads the base
    rows = profile.training.per_device_train_batch_size
    tokens = audited.train.longest * rows
    kept = 2 if profile.training.gradient_checkpointing else _ACTIVATION
    if gpu:
        logits = _FULL_LOGITS * audited.vocabulary * tokens
    else:
        logits = _LABEL_LOGITS * audited.vocabulary * audited.train.most_loss_tokens * rows
    return Estimate(
        weights=measured.parameters * width,
        trainable=measured.trainable * _TRAINABLE,
        activations=tokens * audited.layers * audited.hidden_size * kept * width // 2,
        logits=logits,
        framework=_FRAMEWORK,
    )
