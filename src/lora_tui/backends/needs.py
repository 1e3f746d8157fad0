"""What a run of a profile on an audited dataset needs: the estimate for a base, a place and the fullest batch."""

from __future__ import annotations

import msgspec

from lora_tui.backends import shape as shapes
from lora_tui.backends.memory import Batch, Estimate, estimate
from lora_tui.backends.place import Place, batches_of, fullest_part, holding_of
from lora_tui.backends.shape import Shape
from lora_tui.jobs.audit import Audited
from lora_tui.jobs.measured import Measured
from lora_tui.workspace.profiles import Profile


class Inside(msgspec.Struct, frozen=True):
    """A base with adapters on it; `trainable` weights at rank `r`."""

    shape: Shape
    targets: tuple[str, ...] | str
    trainable: int
    parameters: int  # of the base; 0: as the shape says
    r: int
    engine: int = 0  # bytes that the engine took to count its weights; 0: not known


def inside(base: str, profile: Profile, audited: Audited, measured: Measured | None) -> Inside:
    """What is known of a base: the engine's counts where it measured, else what its shape says."""
    parameters = measured.parameters if measured else 0
    total = parameters or 12 * audited.layers * audited.hidden_size**2  # of a plain transformer's layers
    shape = shapes.of_base(base) or shapes.guessed(audited.layers, audited.hidden_size, audited.vocabulary, total)
    targets = targets_of(profile)
    trainable = measured.trainable if measured else shape.trainable(targets, profile.lora.r)
    return Inside(shape, targets, trainable, parameters, profile.lora.r, measured.engine if measured else 0)


def by_shape(profile: Profile, base: str, place: Place) -> Estimate | None:
    """The estimate for rows as long as max_length, half of them labels: where no row could be counted.

    None for a base whose shape is not known.
    """
    shape = shapes.of_base(base)
    if shape is None:
        return None
    rows, length = profile.training.per_device_train_batch_size, profile.training.max_length
    targets = targets_of(profile)
    return estimate(
        shape,
        targets,
        shape.trainable(targets, profile.lora.r),
        fullest_part(Batch(rows=rows, length=length, labels=rows * length // 2), shape.hidden, place),
        holding_of(profile, place),
    )


def targets_of(profile: Profile) -> tuple[str, ...] | str:
    """Names of the adapted matrices, parameters that PEFT adapts by their own name among them."""
    lora = profile.lora
    if isinstance(lora.target_modules, str):
        return lora.target_modules
    names = (name.removesuffix(".weight") for name in lora.target_parameters)
    return (*lora.target_modules, *("experts" if ".experts" in f".{name}" else name for name in names))


def needed(profile: Profile, base: Inside, audited: Audited, place: Place, processes: int = 1) -> Estimate:
    """The estimate for `profile`, which may have another rank, length or batch than `base` was measured with."""
    train, validation = batches_of(profile, audited, place)
    return estimate(
        base.shape,
        base.targets,
        base.trainable * profile.lora.r // base.r,
        train,
        holding_of(profile, place, processes, base.engine),
        parameters=base.parameters,
        validation=validation,
    )
