"""`lora-tui together`: what lies and runs at Together AI."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.registry import Adapter
from lora_tui.cli.groups import DEFAULT, DefaultCommand, Group
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli, table
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    from lora_tui.backends.together.deploy import Served

_OURS = "lora-tui-"  # how the names of our endpoints begin
_NANO = 1e9


@click.group("together", cls=Group)
def group() -> None:
    """What lies and runs at Together AI: bases, files, jobs, adapters, endpoints.

    The key is read from $TOGETHER_API_KEY or the keyring. A training there: lora-tui train PROFILE --backend together.
    """


@group.command("models")
@json_option
@pass_cli
def models(cli: Cli) -> None:
    """List the bases that Together fine-tunes."""
    from lora_tui.backends.together.client import connected
    from lora_tui.backends.together.limits import supported

    found = supported(connected())
    rows = [(item["name"], item["context"] or "", item["architecture"]) for item in found]
    cli.emit(found, lambda: table(rows, ("base", "context", "architecture"), empty="Together lists none"))


@group.command("files")
@json_option
@pass_cli
def files(cli: Cli) -> None:
    """List the files that were uploaded, by this key's project, with what the validation found."""
    from lora_tui.backends.together.client import asking, connected, plain

    client = connected()
    with asking("which files there are"):
        found = [dict(item) for item in plain(client.files.list()).get("data") or []]
    rows = [
        (
            item.get("id", ""),
            item.get("filename", ""),
            item.get("bytes", 0),
            item.get("processing_status", ""),
            _wrong(item),
        )
        for item in found
    ]
    cli.emit(found, lambda: table(rows, ("file", "name", "bytes", "validation", "error"), empty="no file there"))


def _wrong(item: dict[str, Any]) -> str:
    return str((item.get("validation_report") or {}).get("error") or "")


@group.group("jobs", cls=DefaultCommand, no_args_is_help=False)
def jobs() -> None:
    """List the fine-tuning jobs, or cancel one."""


@jobs.command(DEFAULT)
@json_option
@pass_cli
def jobs_list(cli: Cli) -> None:
    """List the fine-tuning jobs, ours and others, newest first."""
    from lora_tui.backends.together.client import asking, connected, plain

    client = connected()
    with asking("which jobs there are"):
        found = [dict(item) for item in plain(client.fine_tuning.list()).get("data") or []]
    rows = [
        (
            item.get("id", ""),
            item.get("status", ""),
            item.get("suffix") or "",
            item.get("model") or item.get("from_checkpoint") or "",
            f"${float(item.get('total_price') or 0) / _NANO:.2f}",
        )
        for item in found
    ]
    cli.emit(found, lambda: table(rows, ("job", "status", "run", "model", "cost"), empty="no job there"))


@jobs.command("cancel")
@click.argument("job", metavar="ID")
@json_option
@pass_cli
def jobs_cancel(cli: Cli, job: str) -> None:
    """Cancel a job; the steps that are done are billed. `runs stop` does it for a run of this workspace."""
    from lora_tui.backends.together.client import asking, connected, plain

    client = connected()
    with asking(f"cancelling {job}"):
        found = plain(client.fine_tuning.cancel(job))
    cli.emit(found, f"{job}: {found.get('status', 'asked to cancel')}")


@group.command("upload")
@click.argument("adapter")
@click.option("--name", default="", help="What it is called there; else NAME-VERSION.")
@click.option("--base", default="", metavar="MODEL", help="The base it is for there; else that of the adapter.")
@json_option
@pass_cli
def upload(cli: Cli, adapter: str, name: str, base: str) -> None:
    """Register and upload an adapter of the registry (NAME or NAME@VERSION); called again it goes on."""
    found = registry.find(cli.workspace, adapter)
    identity = _uploaded(cli, found, name, base)
    cli.emit({"adapter": found.label, "model": identity}, f"{found.label} is {identity} at Together")


@group.command("deploy")
@click.argument("adapter")
@click.option("--base", default="", metavar="MODEL", help="The base it is for there; else that of the adapter.")
@click.option("--name", default="", help=f"Of the endpoint; else {_OURS}NAME-VERSION.")
@click.option(
    "--inactive-timeout",
    type=NUMBER,
    default=30,
    show_default=True,
    metavar="MINUTES",
    help="Stop it after so many minutes without a request, 30 to 1440.",
)
@click.option("--replicas", type=NUMBER, default=1, show_default=True, metavar="N")
@click.option("--yes", is_flag=True, help="Do not ask before it costs money.")
@json_option
@pass_cli
def deploy(cli: Cli, adapter: str, base: str, name: str, inactive_timeout: int, replicas: int, yes: bool) -> None:
    """Serve an adapter of the registry on a dedicated endpoint, uploading it first where it is not there.

    It costs by the minute until it is torn down, or stops because nobody asks it anything.
    """
    from lora_tui.backends.signals import ended_by
    from lora_tui.backends.together.client import connected, in_project
    from lora_tui.backends.together.deploy import deployed, quoted

    watched = sys.stdin.isatty() and sys.stderr.isatty()
    if not (yes or watched):
        raise BadInput("this costs money, and nobody is there to be asked", fix="Say --yes.")
    found = registry.find(cli.workspace, adapter)
    client = in_project(connected())
    way, price = quoted(client, base or found.metadata.base)
    told = "an unknown price" if price is None else f"${price * replicas:.2f} an hour"
    cli.say(f"{way.gpus} × {way.gpu or 'GPU'}: {told}, until it has had no request for {inactive_timeout} minutes")
    if not yes and not click.confirm("Start it?", err=True):
        cli.emit({"started": False}, "nothing was started")
        return
    identity = _uploaded(cli, found, "", base)
    with ended_by(signal.SIGTERM, signal.SIGHUP), cli.progress("together") as advance:
        served = deployed(
            client,
            identity,
            base or found.metadata.base,
            name or f"{_OURS}{_plain_name(found)}",
            inactive_timeout=inactive_timeout,
            replicas=replicas,
            made=lambda kind, id: cli.say(f"{kind} {id}"),
            tell=lambda stage, done, total: advance(done, total, stage),
        )
    cli.emit(msgspec.to_builtins(served), lambda: _served(served))


@group.command("endpoints")
@json_option
@pass_cli
def endpoints(cli: Cli) -> None:
    """List the endpoints with what they cost: an hour, and since they were made."""
    from lora_tui.backends.together.client import connected, in_project
    from lora_tui.backends.together.endpoints import metered

    found = metered(in_project(connected()))
    rows = [
        (
            item.endpoint,
            item.name,
            item.state or "no deployment",
            item.hardware,
            "" if item.price_per_hour is None else f"${item.price_per_hour * item.replicas:.2f}",
            "" if item.cost is None else f"${item.cost:.2f}",
        )
        for item in found
    ]
    headings = ("endpoint", "name", "state", "hardware", "an hour", "so far, at most")
    data = [msgspec.to_builtins(item) for item in found]
    cli.emit(data, lambda: table(rows, headings, empty="no endpoint there"))


@group.command("teardown")
@click.argument("names", nargs=-1, metavar="[ENDPOINT]...")
@click.option("--all", "everything", is_flag=True, help=f"Every endpoint whose name begins with {_OURS}.")
@json_option
@pass_cli
def teardown(cli: Cli, names: tuple[str, ...], everything: bool) -> None:
    """Stop and delete endpoints, by id or name, with their deployments; then they cost nothing more."""
    from lora_tui.backends.together.client import connected, in_project
    from lora_tui.backends.together.endpoints import beginning_with, torn_down

    if bool(names) == everything:
        raise BadInput("which endpoints? Give names, or --all", fix="See `lora-tui together endpoints`.")
    client = in_project(connected())
    if everything:
        names = tuple(beginning_with(client, _OURS))
    gone: dict[str, list[str]] = {}
    failed: list[LoraTuiError] = []
    for name in names:  # one that fails keeps no other from going
        try:
            gone[name] = torn_down(client, name)
        except LoraTuiError as error:
            failed.append(error)
    lines = [f"{name}: {'gone' if ids else 'was not there'}" for name, ids in gone.items()]
    cli.emit(gone, "\n".join(lines) or ("" if failed else "there is none of ours"))
    if failed:
        raise failed[0]


def _uploaded(cli: Cli, found: Adapter, name: str, base: str) -> str:
    """The id of its record at Together; one that was trained there has its own already."""
    from lora_tui.backends.together.recalled import recalled
    from lora_tui.backends.together.registry_upload import upload_adapter

    known = recalled(cli.workspace.runs / found.metadata.run / "journal.jsonl").model if not name else ""
    if known:
        return known
    if damaged := registry.damaged_files(found):
        raise BadInput(f"{found.label} is damaged: {', '.join(damaged)}", where=str(found.folder))
    with cli.progress("together") as advance:
        return upload_adapter(
            found.folder,
            name or _plain_name(found),
            base or found.metadata.base,
            tell=lambda stage, done, total: advance(done, total, stage),
        )


def _plain_name(found: Adapter) -> str:
    """NAME-VERSION with what a name there may have."""
    return re.sub(r"[^a-z0-9-]+", "-", f"{found.metadata.name}-{found.metadata.version}")


def _served(served: Served) -> str:
    price = "an unknown price" if served.price_per_hour is None else f"${served.price_per_hour:.2f} an hour and replica"
    return (
        f"{served.model} answers on endpoint {served.endpoint}\n"
        f"it costs {price} until it has had no request for {served.inactive_timeout} minutes, or:\n"
        f"  lora-tui together teardown {served.endpoint}"
    )
