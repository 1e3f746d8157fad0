"""The global batch: what a profile says of a step holds for all processes together."""

from __future__ import annotations

import msgspec

from lora_tui.jobs import journal
from lora_tui.workspace.profiles import Profile


def shared(profile: Profile, world: int, log: journal.Journal) -> Profile:
    """`profile` for one of `world` processes, such that a step still trains on as many rows as in one process.

    Accumulation is divided, then the batch. Where neither divides, a step has the nearest number of rows that does, and
    the journal says so.
    """
    training = profile.training
    batch, accumulation = training.per_device_train_batch_size, training.gradient_accumulation_steps
    wanted = batch * accumulation
    if world == 1:
        return profile
    if accumulation % world == 0:
        accumulation //= world
    elif wanted % world == 0:
        each = wanted // world
        batch = max(size for size in range(1, batch + 1) if each % size == 0)
        accumulation = each // batch
    else:
        each = max(1, round(wanted / world))
        batch = max(size for size in range(1, batch + 1) if each % size == 0)
        accumulation = each // batch
        log.write(
            journal.Warned(
                message=f"a step trains on {each * world} rows, not {wanted}: {world} processes cannot share {wanted}",
                advice="Choose a batch times accumulation that the number of processes divides.",
                code="global_batch",
            )
        )
    changed = msgspec.structs.replace(
        training, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation
    )
    return msgspec.structs.replace(profile, training=changed)
