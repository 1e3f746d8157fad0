"""What the commands of `lora-tui opencode` have in common: which settings, which adapters at which server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lora_tui.adapters.wiring import places
from lora_tui.adapters.wiring.places import Place
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.cli.output import NUMBER, Cli
from lora_tui.workspace.errors import BadInput


def where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which of opencode's settings."""
    for option in (
        click.option(
            "--config", type=click.Path(path_type=Path), metavar="PATH", help="This settings file and no other."
        ),
        click.option("--global", "place", flag_value="global", help="The settings for every project (the default)."),
        click.option("--project", "place", flag_value="project", help="The settings of the repository you are in."),
    ):
        command = option(command)
    return command


def what_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is to stand in the settings."""
    for option in (
        click.option("--prompt", type=click.Path(path_type=Path), metavar="FILE", help="The prompt of new agents."),
        click.option(
            "--auto/--no-auto", default=True, help="Also the model `auto`, which the router of `serve --route` knows."
        ),
        click.option("--base/--no-base", default=True, help="Also the base without an adapter."),
        click.option(
            "--as", "served", multiple=True, metavar="NAME=SERVED", help="What the server calls an adapter, if not so."
        ),
        click.option("--key-env", default="", metavar="NAME", help="The environment variable of the server's key."),
        click.option("--output", type=NUMBER, metavar="TOKENS", help="Tokens of an answer; else a part of the window."),
        click.option("--context", type=NUMBER, metavar="TOKENS", help="The server's window; else the base's."),
        click.option("--base-name", default="", metavar="NAME", help="What the server calls the base."),
        click.option("--provider", default="lora", show_default=True, metavar="NAME", help="The provider's name."),
        click.option("--url", default="", metavar="URL", help="Where the models answer; else where `serve` does."),
        click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Adapters of this profile."),
        click.option("--adapter", "names", multiple=True, metavar="NAME", help="This adapter; else all."),
    ):
        command = option(command)
    return command


def how_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How it is written."""
    for option in (
        click.option("--replace", is_flag=True, help="A provider of that name that is yours goes for ours."),
        click.option(
            "--shape",
            type=click.Choice(["v1", "v2"]),
            help="Of opencode 1 (2 reads it too) or of 2; else the file's own.",
        ),
    ):
        command = option(command)
    return command


def place_of(place: str | None, config: Path | None) -> Place:
    """The settings that were named. Raises BadInput for two at once."""
    if config is not None:
        if place:
            raise BadInput("--config names the file: --global and --project do not go with it")
        return places.file_place(config, Path.cwd())
    return places.project_place(Path.cwd()) if place == "project" else places.global_place(Path.cwd())


def wanted_of_options(
    cli: Cli,
    names: Sequence[str],
    profiles: Sequence[str],
    url: str,
    provider: str,
    base_name: str,
    context: int | None,
    output: int | None,
    key_env: str,
    served: Sequence[str],
    base: bool,
    auto: bool,
    prompt: Path | None,
) -> tuple[Wanted, list[str], list[str]]:
    """What is to stand there, the adapters' names, and what was taken for granted. Raises BadInput."""
    from lora_tui.adapters import registry
    from lora_tui.adapters.wiring.server import server
    from lora_tui.adapters.wiring.specialists import chosen, wanted_of

    found = server(cli.workspace, url, names)
    adapters = chosen(registry.adapters(cli.workspace), names or ([] if profiles else found.names), profiles)
    names_now = [one.metadata.name for one in adapters]
    notes = list(found.notes)
    if unserved := [name for name in names_now if found.names and name not in found.names]:
        notes.append(f"{', '.join(unserved)}: not among what is served now.")
    try:
        text = prompt.read_text() if prompt is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read: {error}", where=str(prompt)) from error
    wanted, more = wanted_of(
        cli.workspace,
        adapters,
        url=found.url,
        base_name=base_name or found.base_name,
        provider=provider,
        context=context or found.context,
        most=0 if context or found.context else found.most,
        output=output or 0,
        key_variable=key_env,
        auto=auto and found.routes,
        base=base,
        served={name: found.served[name] for name in names_now if name in found.served} | _pairs(served),
        prompt=text,
    )
    return wanted, names_now, [*notes, *more]


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, served = text.partition("=")
        if not (name and equals and served):
            raise BadInput(f"{text!r} is not NAME=SERVED", fix="As in --as build-rust=OWNER/NAME.")
        found[name] = served
    return found
