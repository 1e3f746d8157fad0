"""`lora-tui train --backend NAME`: where a run is trained when it is not here. One function per backend."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click
import msgspec

from lora_tui.adapters import registry
from lora_tui.backends.start import Start
from lora_tui.cli.output import Cli
from lora_tui.cli.overlays import Overlay
from lora_tui.cli.runs_follow import finish
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.keys import key

if TYPE_CHECKING:
    from lora_tui.backends.processes import Processes
    from lora_tui.backends.together.pricing import Estimate

LOCAL = "local"
_DEARER = 1.25  # times the price that was shown, what another machine may cost where this one is taken


class Asked(msgspec.Struct, frozen=True):
    """What a person asked of a backend that is not this machine."""

    backend: str
    profile: str
    overlay: Overlay
    dataset: Dataset
    allow: tuple[str, ...] = ()
    detach: bool = False
    yes: bool = False  # whatever it costs
    max_price: float | None = None  # USD; an hour, of a rented machine
    max_hours: float = 0.0  # of a machine; 0: as its backend sets it
    gpu: str = ""  # what to rent
    nproc: int = 1  # GPUs of a rented machine
    nnodes: int = 1  # rented machines
    address: str = ""  # of the first of several hosts, as the others reach it
    start: Start | None = None
    to_together: bool = False  # upload the adapter there when it is back


def refuse_unused(backend: str, given: Mapping[str, bool]) -> None:
    """Raise BadInput for an option that would change nothing at this backend: a cap that caps nothing is no cap."""
    held = _HELD.get(backend, _HELD_BY_HOSTS)
    unused = [option for option, there in given.items() if there and option not in held]
    if unused:
        where = backend if backend in _HELD else "a host of your own"
        raise BadInput(
            f"{', '.join(unused)}: nothing at {where} takes that into account",
            where=f"--backend {backend}",
            fix=f"Leave it out. Taken there: {', '.join(held)}." if held else "Leave it out.",
        )


def train(cli: Cli, asked: Asked) -> None:
    """Have it trained where it was asked for. Raises BadInput for a backend that there is not."""
    found = BACKENDS.get(asked.backend)
    if found is not None:
        found(cli, asked)
        return
    known = load_config(cli.workspace).hosts
    if all(name in known for name in asked.backend.split(",")):
        own(cli, asked)
        return
    names = ", ".join((LOCAL, *BACKENDS, *known))
    fix = f"Known: {names}. Add a machine of your own: lora-tui hosts add."
    raise BadInput(f"there is no backend {asked.backend!r}", where="--backend", fix=fix)


def own(cli: Cli, asked: Asked) -> None:
    """Train on hosts of config.toml: one, or several with commas between them."""
    from lora_tui.backends.rented.prepare import check_installed, own_processes

    check_installed()
    from lora_tui.backends.rented.checking import check

    _check_upload(asked)
    for name in asked.backend.split(","):
        check(cli.workspace, name)
    processes = own_processes(cli.workspace, asked.backend.split(","), asked.address)
    box = Box(provider="host", host=asked.backend, max_hours=asked.max_hours, upload_to_together=asked.to_together)
    started(cli, _created(cli, asked, box, processes), asked)


def rented(cli: Cli, asked: Asked) -> None:
    """Show what a machine would cost, ask, rent it and train there."""
    from lora_tui.backends.bases import resolve
    from lora_tui.backends.processes import Processes
    from lora_tui.backends.rented.passed_on import in_words
    from lora_tui.backends.renting.lease import DEFAULT_HOURS
    from lora_tui.backends.renting.provider import Wanted, provider

    _refuse_without_consent(asked)
    _check_upload(asked)
    box = Box(
        provider=asked.backend,  # type: ignore[arg-type]
        gpu=asked.gpu,
        memory_gb=0.0 if asked.gpu else _memory(cli, asked),
        gpus=asked.nproc,
        max_price=asked.max_price or 0.0,
        max_hours=asked.max_hours or DEFAULT_HOURS,
        upload_to_together=asked.to_together,
    )
    offers = provider(asked.backend).offers(
        Wanted(
            gpu=box.gpu,
            gpus=box.gpus,
            memory_gb=box.memory_gb,
            max_price=box.max_price,
            nodes=asked.nnodes,
            hours=box.max_hours,
        )
    )
    if not offers:
        cap = f" of {box.memory_gb:.0f} GB" if box.memory_gb else ""
        cap += f" for at most ${box.max_price:g} an hour" if box.max_price else ""
        fix = "See what there is: lora-tui rented offers."
        raise BadInput(f"{asked.backend} offers no {box.gpus}× {box.gpu or 'GPU'}{cap} now", fix=fix)
    price = offers[0].price_per_hour
    if not box.max_price:  # another may have it a moment later: what is agreed to holds for the next one too
        box = msgspec.structs.replace(box, max_price=round(price * _DEARER, 3))
    cli.say(
        f"{asked.backend}: {offers[0].gpus}× {offers[0].gpu} for ${price:.2f} an hour, nothing dearer than "
        f"${box.max_price:.2f}, for {box.max_hours:g} hours at most: ${box.max_price * box.max_hours:.2f} at most; "
        "it is given back as soon as the run ends"
    )
    recipe = asked.overlay.load(cli.workspace, asked.profile, backend="rented")
    if token := in_words(resolve(cli.workspace, recipe)):
        cli.say(token)
    if not (asked.yes or not _watched() or click.confirm("Rent it and start?", err=True)):
        cli.emit({"started": False}, "nothing was rented")
        return
    processes = Processes(nproc=asked.nproc, nnodes=asked.nnodes)
    started(cli, _created(cli, asked, box, processes), asked)


def _check_upload(asked: Asked) -> None:
    """A key that is missing is better known before the training than behind it."""
    if asked.to_together:
        key("TOGETHER_API_KEY")


def _memory(cli: Cli, asked: Asked) -> float:
    """GB that each GPU must have, where no person named the kind; 0: not known."""
    from lora_tui.backends.compare import rental
    from lora_tui.backends.compare.prices import prices
    from lora_tui.backends.compare.work import work

    recipe = asked.overlay.load(cli.workspace, asked.profile, backend="rented")
    done = work(cli.workspace, recipe, asked.dataset, prices(cli.workspace).formula)
    return rental.memory_gb(recipe, done, (asked.nproc,))


def _created(cli: Cli, asked: Asked, box: Box, processes: Processes) -> Run:
    from lora_tui.backends import local
    from lora_tui.backends.rented.prepare import prepared
    from lora_tui.verify.suites.suite import sample_prompts

    recipe = asked.overlay.load(cli.workspace, asked.profile, backend="rented")
    with cli.progress("audit") as advance:
        job, warnings = prepared(
            cli.workspace,
            recipe,
            asked.dataset,
            box,
            processes,
            sample_prompts(cli.workspace, recipe),
            start=asked.start,
            allow=asked.allow,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    title = f"{recipe.name} on {job.dataset_name} at {asked.backend}"
    return local.created(cli.workspace, job, warnings, title=title)


def together(cli: Cli, asked: Asked) -> None:
    """Price it at Together, ask, start and follow it."""
    from lora_tui.backends import local
    from lora_tui.backends.together import prepare, pricing
    from lora_tui.backends.together.client import connected
    from lora_tui.jobs import supervisor

    if asked.start is not None:
        raise BadInput("Together begins a fresh adapter", where="--from", fix="Leave it out, or train elsewhere.")
    _refuse_without_consent(asked)
    recipe = asked.overlay.load(cli.workspace, asked.profile, backend="together")
    identity = supervisor.new_identity("train")
    with cli.progress("together") as advance:

        def tell(stage: str, done: int, total: int) -> None:
            advance(done, total, stage)

        job, warnings = prepare.prepared(
            connected(), cli.workspace, recipe, asked.dataset, identity=identity, allow=asked.allow, progress=tell
        )
        title = f"{recipe.name} on {job.dataset_name} at Together"
        run = local.created(cli.workspace, job, warnings, title=title, identity=identity)
        for warning in warnings:
            cli.say(f"note: {warning.message}. {warning.advice}".rstrip(". ") + ".")
        priced = pricing.estimate(run, tell)
    cli.say(_price(priced))
    if asked.max_price is not None and priced.price > asked.max_price:
        raise BadInput(
            f"it would cost ${priced.price:.2f}, more than --max-price {asked.max_price:g}: nothing was created",
            where=run.id,
            fix="Allow more, or train fewer epochs or rows.",
        )
    yes = _confirmed(priced.price, asked)  # Ctrl-C leaves here: then nothing is agreed to
    run = pricing.confirmed(run, priced.price if asked.max_price is None else asked.max_price)
    if not yes:
        text = f"{run.id} is not started and costs nothing; `lora-tui runs resume {run.id}` starts it"
        cli.emit(RunView.of(run).summary(), text)
        return
    started(cli, run, asked)


def started(cli: Cli, run: Run, asked: Asked) -> None:
    """Start the run's conductor, follow it unless it was detached, and take its adapter in."""
    from lora_tui.jobs import supervisor

    supervisor.start(run)
    cli.say(f"{run.id}: {run.file.title}")
    finish(cli, run, detach=asked.detach)
    if not asked.detach:
        for adapter in registry.register_finished(cli.workspace):
            cli.say(f"adapter {adapter.label} in {adapter.folder}")


def _price(found: Estimate) -> str:
    tokens = f"{found.train_tokens:,} tokens trained on" if found.train_tokens else ""
    tokens += f", {found.eval_tokens:,} evaluated" if found.eval_tokens else ""
    limit = "" if found.limit is None else f"; the account may spend ${found.limit:.2f}"
    refused = "" if found.allowed else "; Together would not let it start"
    return f"Together estimates ${found.price:.2f}{f' for {tokens}' if tokens else ''}{limit}{refused}"


def _watched() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _refuse_without_consent(asked: Asked) -> None:
    """Money is never spent unasked: a script must have said what it may cost, before anything is done."""
    if not (asked.yes or asked.max_price is not None or _watched()):
        fix = "Say --max-price USD, or --yes for whatever it costs."
        raise BadInput("this costs money, and nobody is there to be asked", where="train", fix=fix)


def _confirmed(price: float, asked: Asked) -> bool:
    if asked.yes or not _watched():
        return True
    return click.confirm(f"Start? It will cost about ${price:.2f}.", err=True)


_RENTED = ("--max-price", "--max-hours", "--gpu", "--nproc", "--nnodes", "--to-together")
_HELD = {
    LOCAL: ("--nproc", "--nnodes", "--address"),
    "together": ("--max-price",),
    "runpod": _RENTED,
    "vast": _RENTED,
}
_HELD_BY_HOSTS = ("--max-hours", "--address", "--to-together")
BACKENDS: dict[str, Callable[[Cli, Asked], None]] = {"together": together, "runpod": rented, "vast": rented}
