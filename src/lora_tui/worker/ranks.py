"""The processes that train together: which of them this is, and the little they say to each other.

Torchrun starts one process per GPU (or per group of cores) and tells each its rank in the environment. The first one
alone writes: journal, checkpoints, adapter, answers. Everything here is cheap and right for a single process too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from lora_tui.jobs import journal

_SILENCE = timedelta(hours=2)  # how long one may wait for another: the first answers prompts and writes checkpoints
_PR_SET_PDEATHSIG = 1
LAUNCHER = "LORA_TUI_LAUNCHER"  # the launcher's pid, in the environment of what it starts


class Rank(msgspec.Struct, frozen=True):
    """One of `world` processes; `local` counts on this machine alone."""

    rank: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0


def here() -> Rank:
    """This process's place, from torchrun's environment; alone without one."""
    number = os.environ.get
    return Rank(
        rank=int(number("RANK", "0")),
        world=int(number("WORLD_SIZE", "1")),
        local=int(number("LOCAL_RANK", "0")),
        local_world=int(number("LOCAL_WORLD_SIZE", "1")),
    )


def under_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def die_with_parent() -> None:
    """End when the launcher does, however it ends: nobody else would tell this process. Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        launcher = os.environ.get(LAUNCHER, "")
        if launcher and os.getppid() != int(launcher):  # it was gone before it could be asked
            os._exit(1)


@contextmanager
def joined() -> Iterator[Rank]:
    """Meet the other processes: gloo between CPUs, nccl between GPUs (and gloo for what lies in memory)."""
    place = here()
    if place.world == 1:
        yield place
        return
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(place.local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=_SILENCE)
    yield place
    distributed.destroy_process_group()  # not after an error: it would wait for processes that are gone


def _together() -> bool:
    if here().world == 1:
        return False
    from torch import distributed

    return distributed.is_initialized()


def total(number: int) -> int:
    """The sum over all processes; every one of them must ask."""
    if not _together():
        return number
    import torch
    from torch import distributed

    value = torch.tensor(number, dtype=torch.int64)
    distributed.all_reduce(value)
    return int(value)


def any_of(*flags: bool) -> tuple[bool, ...]:
    """For each flag whether any process has it, the same answer in every one; every one of them must ask."""
    if not _together():
        return flags
    import torch
    from torch import distributed

    values = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(values, op=distributed.ReduceOp.MAX)
    return tuple(bool(value) for value in values)


def wait() -> None:
    """Until every process is here."""
    any_of(True)


@contextmanager
def first_goes_first() -> Iterator[Rank]:
    """The first process does the block before the others: what it leaves on the disk is there for them."""
    place = here()
    if not place.first:
        wait()
    yield place
    if place.first:
        wait()


class Silent(journal.Journal):
    """The journal of a process that is not the first: it says nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep_room(self) -> None:
        """None is needed."""

    def write(self, event: journal.AnyEvent) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def open_journal(path: Path) -> journal.Journal:
    """The run's journal, which the first process alone writes."""
    return journal.Journal(path) if here().first else Silent(path)
