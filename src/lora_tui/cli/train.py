"""`lora-tui train`: start a run; watch it or leave it."""

from __future__ import annotations

import click

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import start_of
from lora_tui.backends import local
from lora_tui.backends.processes import asked, for_other_machines
from lora_tui.cli.output import AMOUNT, NUMBER, Cli, json_option, pass_cli
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.cli.runs_follow import finish
from lora_tui.cli.train_elsewhere import LOCAL, Asked, refuse_unused
from lora_tui.cli.train_elsewhere import train as train_elsewhere
from lora_tui.dataset import versions
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput


@click.command("train")
@click.argument("profile")
@click.option("--dataset", required=True, metavar="NAME", help="NAME or NAME@VERSION.")
@click.option("--nproc", type=NUMBER, default=1, metavar="N", help="Train in so many processes: one per GPU.")
@click.option("--nnodes", type=NUMBER, default=1, metavar="N", help="On so many machines, this one being the first.")
@click.option("--address", default="", metavar="HOST[:PORT]", help="This machine, as the other machines reach it.")
@click.option("--from", "start", metavar="ADAPTER", help="Go on from this adapter version: NAME or NAME@VERSION.")
@click.option("--new-only", is_flag=True, help="With --from: only rows that the adapter was not trained on yet.")
@click.option("--detach", is_flag=True, help="Return at once; the run goes on by itself either way.")
@click.option(
    "--allow",
    multiple=True,
    metavar="CODE",
    help="Train in spite of this error of the audit; again for more.",
)
@click.option("--backend", default=LOCAL, metavar="NAME", help="local, together, runpod, vast, or your host.")
@click.option(
    "--max-price",
    type=AMOUNT,
    metavar="USD",
    help="Together: start only if it costs no more. Rented: no machine that is dearer an hour.",
)
@click.option("--max-hours", type=AMOUNT, metavar="H", help="A host, rented: stop and give back after so long.")
@click.option("--gpu", metavar="NAME", help="Rented: which GPU; see `rented offers`.")
@click.option("--to-together", is_flag=True, help="A host, rented: upload the adapter to Together when it is back.")
@click.option("--yes", is_flag=True, help="Elsewhere: do not ask before it costs money.")
@overlay_options
@json_option
@pass_cli
def command(
    cli: Cli,
    profile: str,
    dataset: str,
    nproc: int,
    nnodes: int,
    address: str,
    start: str | None,
    new_only: bool,
    detach: bool,
    allow: tuple[str, ...],
    backend: str,
    max_price: float | None,
    max_hours: float | None,
    gpu: str | None,
    to_together: bool,
    yes: bool,
    overlay: Overlay,
) -> None:
    """Fine-tune PROFILE's base on a dataset, which is audited first: an error that is not allowed starts nothing.

    The run survives this terminal; Ctrl-C only stops watching.
    """
    if new_only and not start:
        raise BadInput("new rows of what? --new-only needs an adapter to go on from", fix="Name it with --from.")
    refuse_unused(
        backend,
        {
            "--max-price": max_price is not None,
            "--max-hours": max_hours is not None,
            "--gpu": gpu is not None,
            "--to-together": to_together,
            "--nproc": nproc != 1,
            "--nnodes": nnodes != 1,
            "--address": bool(address),
        },
    )
    if backend != LOCAL:
        rows = versions.find(cli.workspace, dataset)
        there = Asked(
            backend=backend,
            profile=profile,
            overlay=overlay,
            dataset=rows,
            start=start_of(cli.workspace, start, rows, new_only=new_only) if start else None,
            max_hours=max_hours or 0.0,
            gpu=gpu or "",
            nproc=nproc,
            nnodes=nnodes,
            address=address,
            to_together=to_together,
            allow=allow,
            detach=detach,
            yes=yes,
            max_price=max_price,
        )
        train_elsewhere(cli, there)
        return
    processes = asked(nproc, nnodes, address)
    recipe = overlay.load(cli.workspace, profile)
    found = versions.find(cli.workspace, dataset)
    onwards = start_of(cli.workspace, start, found, new_only=new_only) if start else None
    with cli.progress("audit") as advance:
        run = local.train(
            cli.workspace,
            recipe,
            found,
            sample_prompts(cli.workspace, recipe),
            processes=processes,
            start=onwards,
            allow=allow,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    cli.say(f"{run.id}: {run.file.title}")
    for line in for_other_machines(run, processes):
        cli.say(f"on the next machine, with the same folders: {line}")
    finish(cli, run, detach=detach)
    if not detach:
        for adapter in registry.register_finished(cli.workspace):
            cli.say(f"adapter {adapter.label} in {adapter.folder}")
