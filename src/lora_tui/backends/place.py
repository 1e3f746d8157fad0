"""Where a run would work: the roomiest GPU, or this machine's cores; and how our engine holds it there."""

from __future__ import annotations

import msgspec

from lora_tui.backends.hardware import Machine
from lora_tui.backends.memory import Batch, Holding, Storage
from lora_tui.jobs import processor
from lora_tui.jobs.audit import Audited, Counted
from lora_tui.jobs.base_width import Width, base_width
from lora_tui.workspace.profiles import Profile

# What the engine takes beside a model: on this stack (torch 2.13, transformers 5.23, trl 1.16, peft 0.21) 400 MiB for
# counting a base's weights, which a machine measures for itself, and 130 MiB more once it trains. Chosen on a run of
# the demo's base of 2 million weights.
COUNTING = 400 * 1024**2
TRAINING = 130 * 1024**2

# On a CPU a micro-batch is computed in parts that its caches hold: so many hidden values, and one row at the least.
PART_VALUES = 1 << 18

# There, checkpointing leaves out as many layers as keep no more than this together.
KEPT = 2 << 30


_STORED: dict[Width, Storage] = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class Place(msgspec.Struct, frozen=True):
    """One device; bytes."""

    name: str
    gpu: bool
    available: int
    total: int
    gpus: int = 1  # that could work together
    bf16: bool = False  # it multiplies bf16 fast


def place_of(host: Machine) -> Place:
    """The device that a run started now would use."""
    if host.gpus:
        roomiest = max(host.gpus, key=lambda gpu: gpu.memory_total - gpu.memory_used)
        free = roomiest.memory_total - roomiest.memory_used
        return Place(roomiest.name, True, free, roomiest.memory_total, len(host.gpus), has_bf16(roomiest.name))
    fast = processor.has_fast_bf16()
    return Place(f"CPU, {host.cores} cores", False, host.ram_available, host.ram_total, bf16=fast)


def has_bf16(name: str) -> bool:
    """Whether an NVIDIA GPU of this name is of Ampere (2020) or later; older ones are few and known by name."""
    return not any(old in name for old in ("T4", "V100", "P100", "P40", "GTX", "RTX 20", "TITAN", "Quadro"))


def holding_of(profile: Profile, place: Place, processes: int = 1, engine: int = 0) -> Holding:
    """How our engine holds a run of `profile`; `engine`: bytes it took to count the base's weights, 0: not known.

    PEFT keeps adapters in fp32 whatever the base is held in; TRL casts them to bf16 on a base in 8 or 4 bits.
    """
    training, model = profile.training, profile.model
    packed = model.load_in_4bit or model.load_in_8bit
    storage: Storage
    if model.load_in_4bit:
        storage = "nf4-dq"
    elif model.load_in_8bit:
        storage = "int8"
    else:
        width = base_width(
            bf16=training.bf16, fp16=training.fp16, gpu=place.gpu, gpu_bf16=place.bf16, cpu_bf16=place.bf16
        )
        storage = _STORED[width]
    return Holding(
        storage=storage,
        adapter_width=2 if packed else 4,
        autocast=place.gpu,
        optim=training.optim,
        loss="fused" if place.gpu else "labels",
        checkpointing=training.gradient_checkpointing,
        keeps=0 if place.gpu else KEPT,
        dropout=profile.lora.lora_dropout > 0,
        fused=not (place.gpu or packed or profile.lora.use_dora),
        anchors=2 * (profile.forgetting.ewc > 0) + (profile.forgetting.l2 > 0),
        counted="device" if place.gpu else "process",
        runtime=Holding().runtime if place.gpu else (engine or COUNTING) + TRAINING,
        gpus=processes,
        sharded=training.parallel == "fsdp2" and processes > 1,
    )


def batches_of(profile: Profile, audited: Audited, place: Place) -> tuple[Batch, Batch | None]:
    """The fullest micro-batch of training, and of an evaluation where there is one. Rows longer than max_length are
    split before they come here."""
    training = profile.training
    validation = audited.splits.get("validation", Counted())
    counted = audited.train

    def fullest(split: Counted, packed: bool) -> Batch:
        length = min(training.max_length, split.longest) or 1
        rows = min(training.per_device_train_batch_size, split.rows or 1)
        labels = split.most_loss_tokens * rows
        if packed:
            length, labels = training.max_length, training.max_length * rows
        return Batch(rows=rows, length=length, labels=labels)

    train = fullest_part(fullest(counted, training.packing), audited.hidden_size, place)
    return train, fullest(validation, False) if validation.rows else None


def fullest_part(batch: Batch, hidden: int, place: Place) -> Batch:
    """What of a micro-batch is in memory at a time: all of it on a GPU."""
    if place.gpu or not hidden:
        return batch
    rows = min(batch.rows, max(1, PART_VALUES // hidden // batch.length))
    return Batch(rows=rows, length=batch.length, labels=max(1, batch.labels * rows // batch.rows))
