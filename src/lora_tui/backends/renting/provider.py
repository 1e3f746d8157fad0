"""What a provider of rented machines can do, in the words that the rest of the program knows."""

from __future__ import annotations

import re
from typing import Literal, Protocol

import msgspec

from lora_tui.workspace.errors import BadInput

NAMES = ("runpod", "vast")
PREFIX = "lora-tui/"  # what the label of every machine we rent begins with; the id of its run follows
PATIENCE = 4
KEYS = {"runpod": "RUNPOD_API_KEY", "vast": "VAST_API_KEY"}


class Offer(msgspec.Struct, frozen=True):
    """A machine that could be rented now."""

    provider: str
    id: str  # the provider's, for `rent`
    gpu: str  # as the provider names it
    gpus: int  # in one machine
    memory_gb: float  # of one GPU
    price_per_hour: float  # USD, of everything that is offered: all GPUs of all nodes, and the disk where it is known
    place: str = ""
    reliability: float | None = None  # 0 to 1, as the provider reckons it
    seen: float = 0.0  # epoch seconds of the answer that said so
    nodes: int = 1
    disk_gb: int = 60  # of each node


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for."""

    gpu: str = ""  # words of its name; empty: any
    gpus: int = 1  # in one machine
    memory_gb: float = 0.0  # at least, of one GPU
    max_price: float = 0.0  # USD an hour; 0: any
    disk_gb: int = 60
    nodes: int = 1
    hours: float = 0.0  # for which it must be to be had; 0: any


class Machine(msgspec.Struct, frozen=True):
    """A machine that is rented, or was."""

    provider: str
    id: str
    label: str
    state: Literal["starting", "running", "gone", "failed"]
    host: str = ""  # where its SSH server listens, once it runs
    port: int = 22
    user: str = "root"
    price_per_hour: float = 0.0  # USD
    name: str = ""  # what it is: "2× RTX 4090"
    reason: str = ""  # of a failure, in the provider's words
    began: float = 0.0  # epoch seconds since when it costs; 0: the provider does not say
    until: float = 0.0  # epoch seconds at which its lease ends; 0: none was given
    nodes: tuple[tuple[str, int], ...] = ()  # of a cluster: host and SSH port of every node, the first one first
    address: str = ""  # of a cluster's first node, as the others reach it


def is_named(wanted: str, name: str) -> bool:
    """Whether a GPU of this name has all the `wanted` words; a short one is a word of its own: L4 is no L40S."""
    parts = re.split(r"[^a-z0-9]+", name.lower())
    joined = " ".join(parts)
    words = re.split(r"[^a-z0-9]+", wanted.lower())
    return all(word in parts if len(word) <= 3 else word in joined for word in words if word)


class Provider(Protocol):
    """Someone machines are rented from. Every error is a LoraTuiError; nothing here reads or writes a journal."""

    name: str

    def offers(self, wanted: Wanted) -> list[Offer]:
        """What fits, the cheapest first."""
        ...

    def rent(self, offer: Offer, label: str, public_key: str, dead_man: str) -> Machine:
        """Rent it. Raises Refused where nothing was rented, NoAnswer where that is not known: look for `label` then.

        `public_key` is one line as in authorized_keys; `dead_man` a shell command that is started on the machine.
        """
        ...

    def look(self, identity: str) -> Machine | None:
        """How it is; None where the provider has no such machine (any more)."""
        ...

    def all(self) -> list[Machine]:
        """Every machine of the account whose label begins with `lora-tui/`, in whatever state it costs."""
        ...

    def end(self, identity: str) -> None:
        """Give it back, with everything on it. One that is gone already is fine."""
        ...


def provider(name: str, *, patience: int = PATIENCE) -> Provider:
    """RunPod or Vast by its name, with the key from the environment or keyring. Raises BadInput.

    `patience`: how often a question is asked before it counts as unanswered.
    """
    if name == "runpod":
        from lora_tui.backends.renting.runpod import RunPod

        return RunPod(patience)
    if name == "vast":
        from lora_tui.backends.renting.vast import Vast

        return Vast(patience)
    raise BadInput(f"nobody rents machines under the name {name!r}", fix=f"There are: {', '.join(NAMES)}.")
