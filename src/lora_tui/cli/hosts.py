"""`lora-tui hosts`: the machines of one's own that a run can be trained on, reached by SSH."""

from __future__ import annotations

import sys

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, Number, json_option, pass_cli, table
from lora_tui.workspace import hosts
from lora_tui.workspace.config import Host, load_config

_GIB = 1024**3


@click.group("hosts", cls=Group)
def group() -> None:
    """Machines of your own that are reached by SSH: [hosts.NAME] in config.toml. Train there with --backend NAME."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the hosts of config.toml, without connecting."""
    known = load_config(cli.workspace).hosts
    rows = [
        (
            name,
            f"{host.user}@{host.address}" if host.user else host.address,
            host.port or "",
            host.gpus or "",
            f"${host.price_per_hour:g}/h" if host.price_per_hour else "",
            host.python or "made there",
            host.folder,
        )
        for name, host in known.items()
    ]
    cli.emit(
        [{"name": name, **msgspec.to_builtins(host)} for name, host in known.items()],
        lambda: table(
            rows,
            ("host", "address", "port", "GPUs", "price", "python", "folder"),
            empty="no host yet: lora-tui hosts add NAME ADDRESS",
        ),
    )


@group.command("add")
@click.argument("name")
@click.argument("address")
@click.option("--port", type=Number(0, 65535), default=0, help="Else as your ssh config says, or 22.")
@click.option("--user", default="", help="Else as your ssh config says, or your login name.")
@click.option("--python", default="", help="An interpreter there that has the engine; else an environment is made.")
@click.option("--folder", default=Host(address="").folder, show_default=True, help="Where jobs go there.")
@click.option("--price", default=0.0, help="What an hour of it costs, in USD.")
@click.option("--gpus", type=Number(0), default=0, help="How many GPUs a run trains on there.")
@json_option
@pass_cli
def add(
    cli: Cli, name: str, address: str, port: int, user: str, python: str, folder: str, price: float, gpus: int
) -> None:
    """Add a host to config.toml, whose other lines stay as they are.

    ADDRESS may be an alias of your ssh config, and USER@ADDRESS:PORT as well.
    """
    its_user, place, its_port = hosts.placed(address)
    port, user = port or its_port, user or its_user
    host = Host(address=place, port=port, user=user, python=python, folder=folder, price_per_hour=price, gpus=gpus)
    hosts.add(cli.workspace, name, host)
    cli.emit(
        {"name": name, **msgspec.to_builtins(host)},
        f"added {name} to {cli.workspace.config}; now: lora-tui hosts check {name}",
    )


@group.command("remove")
@click.argument("name")
@json_option
@pass_cli
def remove(cli: Cli, name: str) -> None:
    """Take a host out of config.toml, and its key out of those that are trusted. Nothing is removed there."""
    from lora_tui.backends.rented.prepare import check_installed

    check_installed()
    from lora_tui.backends.rented.checking import forget

    forget(cli.workspace, name)
    hosts.remove(cli.workspace, name)
    cli.emit({"name": name, "removed": True}, f"removed {name}")


@group.command("check")
@click.argument("name")
@click.option("--trust", default="", metavar="FINGERPRINT", help="Trust the host's key if it is this: SHA256:…")
@click.option("--forget", is_flag=True, help="Forget the key that was trusted: you know why it has changed.")
@json_option
@pass_cli
def check(cli: Cli, name: str, trust: str, forget: bool) -> None:
    """Connect to a host: its GPUs, Python, memory and disk. An unknown host's key is shown, and trusted if you say so.

    Your own known_hosts is neither used for it nor written.
    """
    from lora_tui.backends.rented.prepare import check_installed

    check_installed()
    from lora_tui.backends.rented import checking
    from lora_tui.backends.rented.connection import UnknownHost

    if forget:
        checking.forget(cli.workspace, name)
    try:
        found = checking.check(cli.workspace, name, trust)
    except UnknownHost as error:
        if trust or cli.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        cli.say(error.what)
        if not click.confirm("Is that the machine's own? Trust it from now on", err=True):
            raise
        found = checking.check(cli.workspace, name, error.fingerprint)
    cli.emit(msgspec.to_builtins(found), lambda: _report(found))


def _report(found: object) -> str:
    from lora_tui.backends.rented.checking import Checked

    assert isinstance(found, Checked)
    facts = found.facts
    gpus = [
        f"{gpu.name}, {(gpu.memory_total - gpu.memory_used) / _GIB:.0f} of {gpu.memory_total / _GIB:.0f} GiB free"
        if gpu.memory_total
        else gpu.name
        for gpu in facts.gpus
    ] or ["none that nvidia-smi shows"]
    rows = [
        ("key", found.fingerprint),
        *(("GPU", gpu) for gpu in gpus),
        ("cores", str(facts.cores)),
        ("RAM", f"{facts.ram_available / _GIB:.1f} of {facts.ram_total / _GIB:.1f} GiB free"),
        ("disk", f"{facts.disk_free / _GIB:.1f} GiB free for {facts.root}"),
        ("python", f"{found.interpreter} ({'lacks: ' + found.lacks if found.lacks else facts.python})"),
    ]
    return "\n".join([found.name, *(f"  {what:<7} {said}" for what, said in rows)])
