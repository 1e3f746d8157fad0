"""How much a run works through: optimizer steps and tokens, with what replay mixes in and packing puts together."""

from __future__ import annotations

import math

import msgspec

from lora_tui.dataset.general import wanted
from lora_tui.jobs.audit import Audited
from lora_tui.workspace.profiles import Profile, Training


class Amount(msgspec.Struct, frozen=True):
    """Of the whole run. `mixed`: rows that replay adds, at most; a chat file may have fewer."""

    steps: int
    tokens: float  # that carry loss
    mixed: int


def amount_of(profile: Profile, audited: Audited) -> Amount:
    """What a run of `profile` on an audited dataset works through."""
    training, rows = profile.training, audited.train.rows
    mixed = wanted(rows, profile.forgetting.replay_share) if profile.forgetting.replay else 0
    together = audited.packing.packs if training.packing and audited.packing.packs else rows
    each = audited.train.loss_tokens / together if together else 0.0
    together = math.ceil(together * (rows + mixed) / rows) if rows else 0
    seen = training.num_train_epochs * together
    if training.max_steps > 0:
        seen = training.max_steps * training.per_device_train_batch_size * training.gradient_accumulation_steps
    return Amount(steps=steps_of(together, training), tokens=each * seen, mixed=mixed)


def steps_of(rows: int, training: Training) -> int:
    """Optimizer steps for so many rows, or packs of rows, as Trainer counts them in one process."""
    if training.max_steps > 0:
        return training.max_steps
    micro = math.ceil(rows / training.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(micro / training.gradient_accumulation_steps))
    return math.ceil(training.num_train_epochs * per_epoch)
