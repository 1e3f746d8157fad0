"""`lora-tui serve`: a base and its adapters behind one address."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from lora_tui.cli.groups import DefaultCommand
from lora_tui.cli.output import Cli, Number, json_option, pass_cli, table

_SIZES, _PORTS = Number(0), Number(0, 65_535)
_ENGINES = ("vllm", "llama-cpp", "transformers", "ollama")


@click.group("serve", cls=DefaultCommand)
def group() -> None:
    """Serve a base and its adapters; see, share and stop what is served."""


@group.command("default")
@click.argument("base")
@click.option("--adapter", "adapters", multiple=True, required=True, metavar="NAME[@VERSION]", help="May be repeated.")
@click.option("--engine", type=click.Choice(_ENGINES), help="Else the best one here.")
@click.option("--route", is_flag=True, help="A router before the engine: names, `auto`, A/B, promotion without a gap.")
@click.option("--port", type=_PORTS, metavar="PORT", help="On 127.0.0.1; 8484 unless given, 0 takes a free one.")
@click.option("--detach", is_flag=True, help="Go on after this terminal.")
@click.option("--name", default="", help="What the served set is called; else the base's last word.")
@click.option("--base-name", default="", help="What clients call the base; else its last word.")
@click.option("--program", default="", metavar="PATH", help="vllm or llama-server; else on the PATH.")
@click.option("--option", "options", multiple=True, metavar="WORD", help="A further word for the engine's command.")
@click.option("--context", type=_SIZES, default=0, metavar="TOKENS", help="Of one request.")
@click.option("--parallel", type=_SIZES, default=0, metavar="N", help="Requests answered at once.")
@click.option("--max-lora-rank", "max_rank", type=_SIZES, default=0, metavar="R", help="vLLM: of versions to come.")
@click.option("--for", "languages", multiple=True, metavar="LANGUAGE=NAME", help="Who answers `auto` for a language.")
@click.option("--pin", is_flag=True, help="A conversation stays with the version it began with.")
@json_option
@pass_cli
def serve(
    cli: Cli,
    base: str,
    adapters: tuple[str, ...],
    engine: str | None,
    route: bool,
    port: int | None,
    detach: bool,
    name: str,
    base_name: str,
    program: str,
    options: tuple[str, ...],
    context: int,
    parallel: int,
    max_rank: int,
    languages: tuple[str, ...],
    pin: bool,
) -> None:
    """Serve BASE with adapters and watch it: an engine that ends is started again.

    A NAME is the version in production, or the newest where none was promoted.
    """
    from lora_tui.adapters.base_facts import short_name
    from lora_tui.adapters.serving import engines, promote, server, sets, starting

    last = short_name(base)
    folder = Path(base).expanduser()
    wanted = sets.Set(
        name=name or last,
        workspace=str(cli.workspace.root),
        base=str(folder.absolute()) if folder.exists() else base,
        base_name=base_name or last,
        engine=engine or engines.here(base),
        adapters=adapters,
        route=route,
        port=sets.DEFAULT_PORT if port is None else port,
        program=program,
        options=options,
        max_rank=max_rank,
        context=context,
        parallel=parallel,
        pin=pin,
        languages=_languages(languages),
    )
    promote.check_bases(cli.workspace, wanted)
    one = sets.create(cli.workspace, wanted)
    if not detach:
        cli.say(f"{one.set.name}: {wanted.engine} starts; its logs are in {one.folder}. Ctrl-C stops it.")
        server.run(one.folder, lambda words: cli.say(f"{time.strftime('%H:%M:%S')} {words}"))
        return
    starting.start(one, say=cli.say)
    _show(cli, one)


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List what is and was served."""
    from lora_tui.adapters.serving import status

    found = status.statuses(cli.workspace)
    cli.emit(
        msgspec.to_builtins(found),
        lambda: table(
            [
                (one.name, one.state, one.engine, one.url, one.requests, one.tokens_per_second, _size(one.rss), one.why)
                for one in found
            ],
            ("set", "state", "engine", "url", "requests", "tokens/s", "memory", "why"),
            empty="nothing is served: lora-tui serve BASE --adapter NAME --route",
        ),
    )


@group.command("status")
@click.argument("name", default="")
@json_option
@pass_cli
def status_(cli: Cli, name: str) -> None:
    """Show one served set: its processes, and each version's figures."""
    from lora_tui.adapters.serving import sets

    _show(cli, sets.find(cli.workspace, name))


@group.command("stop")
@click.argument("name", default="")
@json_option
@pass_cli
def stop(cli: Cli, name: str) -> None:
    """Stop a served set and its engines."""
    from lora_tui.adapters.serving import sets

    one = sets.find(cli.workspace, name)
    stopped = sets.stop(one)
    cli.emit(
        {"name": one.set.name, "stopped": stopped},
        f"{one.set.name} is stopped" if stopped else f"{one.set.name} is not served",
    )


@group.command("share")
@click.argument("version", metavar="NAME@VERSION")
@click.argument("percent", type=click.FloatRange(0, 100))
@click.option("--set", "name", default="", metavar="SET", help="Where several are served.")
@json_option
@pass_cli
def share(cli: Cli, version: str, percent: float, name: str) -> None:
    """Send PERCENT of a name's conversations to a version beside the one in production; 0 ends it.

    A conversation stays on its side. `lora-tui promote` makes the winner everybody's.
    """
    from lora_tui.adapters.serving import control, sets

    found = control.ask(sets.find(cli.workspace, name), "share", label=version, percent=percent, say=cli.say)
    cli.emit(found, f"{percent:g} % of {version.partition('@')[0]}'s conversations go to {version}")


def _show(cli: Cli, one: object) -> None:
    from lora_tui.adapters.serving import sets, status

    assert isinstance(one, sets.Served)
    found = status.of(one)
    head = f"{found.name} ({found.engine}, {found.base}) is {found.state}" + (f" at {found.url}" if found.url else "")
    parts = table(
        [
            (part.name, part.state, part.pid, part.port, part.restarts, _size(part.rss), _size(part.vram), part.why)
            for part in found.parts
        ],
        ("process", "state", "pid", "port", "restarts", "memory", "GPU", "ended last"),
        empty="no process",
    )
    versions = table(
        [
            (
                row.version,
                ", ".join(row.names) + (f" {row.trial:g} %" if row.trial else ""),
                "loaded" if row.loaded else "",
                row.requests,
                row.running,
                row.errors + row.cut,
                row.left,
                row.tokens,
                _seconds(row.first_mean),
                _seconds(row.whole_mean),
            )
            for row in found.versions
        ],
        ("version", "means", "", "requests", "now", "errors", "left", "tokens", "first token", "whole"),
        empty="no figures: they are the router's (--route)",
    )
    why = f"\n{found.why}" if found.why else ""
    cli.emit(msgspec.to_builtins(found), f"{head}{why}\n\n{parts}\n\n{versions}")


def _languages(said: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in said:
        language, equals, name = text.partition("=")
        if not (language and equals and name):
            raise click.UsageError(f"--for {text}: write LANGUAGE=NAME")
        found[language] = name
    return found


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value * 1000:.0f} ms"
