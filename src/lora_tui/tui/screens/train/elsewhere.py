"""A run that is not trained here: prepared, priced, and started once a person agreed to the price."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast

import msgspec

from lora_tui.backends import bases, local
from lora_tui.backends.compare import gpus
from lora_tui.backends.compare.way import Way
from lora_tui.backends.counting import Tell
from lora_tui.backends.processes import Processes
from lora_tui.backends.rented import passed_on
from lora_tui.backends.rented import prepare as rented
from lora_tui.backends.start import Start
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

_DEARER = 1.25  # than the offer that was shown, at most: somebody else may be faster
_HOURS = 24.0  # where the time is not known


class Wish(msgspec.Struct, frozen=True):
    """What a person wants trained, and where. `profile` is as that backend has it."""

    way: Way
    profile: Profile
    dataset: Dataset
    allow: tuple[str, ...] = ()
    start: Start | None = None


class Ready(msgspec.Struct, frozen=True):
    """`question`: what it costs, to be agreed to; empty where it costs nothing. `begin` starts it."""

    question: str
    begin: Callable[[], Run]


def ready(workspace: Workspace, wish: Wish, tell: Tell) -> Ready:
    """Everything but the start. At Together the files are uploaded for the price; nothing is rented or created.

    Raises LoraTuiError.
    """
    if wish.way.backend == "together":
        return _together(workspace, wish, tell)
    if wish.way.backend in ("runpod", "vast"):
        return _rented(workspace, wish, tell)
    processes = rented.own_processes(workspace, [wish.way.backend])
    box = Box(provider="host", host=wish.way.backend)
    return Ready("", lambda: _begin(workspace, wish, box, processes, tell))


def _rented(workspace: Workspace, wish: Wish, tell: Tell) -> Ready:
    from lora_tui.backends.renting.provider import Wanted, provider

    way = wish.way
    count, name = _gpu(way)
    tell(f"asking {way.backend} what it offers", 0, 0)
    hours = float(max(1, math.ceil(2 * way.seconds.high / 3600))) if way.seconds.high else _HOURS
    offers = provider(way.backend).offers(Wanted(gpu=name, gpus=count, memory_gb=way.memory_gb, hours=hours))
    if not offers:
        raise BadInput(f"{way.backend} offers no {way.gpu} now", fix="Choose another way with b, or try again later.")
    most = math.ceil(offers[0].price_per_hour * _DEARER * 100) / 100
    box = Box(
        provider=cast(Literal["runpod", "vast"], way.backend),
        gpu=name,
        gpus=count,
        memory_gb=way.memory_gb,
        max_price=most,
        max_hours=hours,
    )
    offer, within = offers[0], "1 hour" if hours == 1 else f"{hours:g} hours"
    token = passed_on.in_words(bases.resolve(workspace, wish.profile))
    question = (
        f"{wish.profile.name} on {wish.dataset.label}:\n"
        f"{offer.gpus}× {offer.gpu} for ${offer.price_per_hour:.2f} an hour now.\n"
        f"At most ${most:.2f} an hour, within {within}: ${most * hours:.2f} at most.\n\n"
        f"It is given back as soon as the run ends. The dataset goes {way.data}." + (f" {token}." if token else "")
    )
    processes = Processes(nproc=count)
    return Ready(question, lambda: _begin(workspace, wish, box, processes, tell))


def _gpu(way: Way) -> tuple[int, str]:
    """How many, and what all the names of that kind have in them."""
    count, found, name = way.gpu.partition("× ")
    kind = gpus.named(name if found else way.gpu)
    if kind is None:
        raise BadInput(f"which GPU {way.name} is to have is not known", fix=f"lora-tui rented offers; {_by_hand(way)}")
    return int(count) if found else 1, " ".join(kind.words)


def _by_hand(way: Way) -> str:
    return f"then lora-tui train … --backend {way.backend} --gpu NAME"


def _begin(workspace: Workspace, wish: Wish, box: Box, processes: Processes, tell: Tell) -> Run:
    job, warnings = rented.prepared(
        workspace,
        wish.profile,
        wish.dataset,
        box,
        processes,
        sample_prompts(workspace, wish.profile),
        start=wish.start,
        allow=wish.allow,
        progress=tell,
    )
    title = f"{wish.profile.name} on {job.dataset_name} at {wish.way.backend}"
    run = local.created(workspace, job, warnings, title=title)
    supervisor.start(run)
    return run


def _together(workspace: Workspace, wish: Wish, tell: Tell) -> Ready:
    from lora_tui.backends.together import prepare, pricing
    from lora_tui.backends.together.client import connected

    if wish.start is not None:
        raise BadInput("Together begins a fresh adapter", fix="Choose a fresh one with o, or train elsewhere.")
    identity = supervisor.new_identity("train")
    job, warnings = prepare.prepared(
        connected(), workspace, wish.profile, wish.dataset, identity=identity, allow=wish.allow, progress=tell
    )
    title = f"{wish.profile.name} on {job.dataset_name} at Together"
    run = local.created(workspace, job, warnings, title=title, identity=identity)
    priced = pricing.estimate(run, tell)

    def begin() -> Run:
        confirmed = pricing.confirmed(run, priced.price)
        supervisor.start(confirmed)
        return confirmed

    notes = "".join(f"\n{item.message}." for item in warnings)
    if not priced.allowed:
        limit = "" if priced.limit is None else f": it may spend ${priced.limit:.2f}"
        notes = f"\nTogether would not let this account start it{limit}.{notes}"
    question = (
        f"{wish.profile.name} on {wish.dataset.label}: Together estimates ${priced.price:.2f} for "
        f"{priced.train_tokens:,} tokens. The files lie there already; nothing else costs anything.\n{notes}"
    )
    return Ready(question.rstrip(), begin)
