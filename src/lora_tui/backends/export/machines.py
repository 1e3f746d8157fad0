"""What machines a job asks for: how many GPUs, of which kinds, with how much memory."""

from __future__ import annotations

import math

import msgspec

from lora_tui.backends.compare import gpus, rental
from lora_tui.backends.compare.gpus import Gpu
from lora_tui.backends.compare.work import Work
from lora_tui.backends.fit import MARGIN
from lora_tui.backends.memory import GIB
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile

DISK_GB = 100


class Machines(msgspec.Struct, frozen=True):
    """`nodes` machines with `gpus` GPUs each, one of `kinds`, with at least `memory_gb` each."""

    nodes: int
    gpus: int
    memory_gb: int
    kinds: tuple[Gpu, ...]
    disk_gb: int = DISK_GB


def machines(profile: Profile, work: Work, nodes: int = 1, count: int = 0) -> Machines:
    """The smallest number of GPUs that holds the run, or `count` of them. Raises BadInput where no kind holds it."""
    counts = (count,) if count else None
    held = [(kind, rental.fits(profile, work, rental.place(kind), counts)) for kind in gpus.known()]
    fitting = [(kind, item) for kind, item in held if item.fits]
    if not fitting:
        largest = max(held, key=lambda item: item[0].memory_gib)
        raise BadInput(
            f"no kind of GPU that is known holds it: it {largest[1].why} on {largest[0].name}",
            where=f"profile {profile.name}",
            fix='Shard the base with training.parallel = "fsdp2", load it in 4 bit, or train a smaller one.',
        )
    number = min(item.gpus for _, item in fitting)
    chosen = [(kind, item) for kind, item in fitting if item.gpus == number]
    needed = max(item.needed for _, item in chosen)
    return Machines(
        nodes=nodes,
        gpus=number,
        memory_gb=math.ceil(needed / MARGIN / GIB),
        kinds=tuple(kind for kind, _ in chosen),
    )
