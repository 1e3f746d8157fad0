"""`lora-tui opencode`: the specialists in the agent's settings, and out of them again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from lora_tui.adapters.wiring import places, record
from lora_tui.adapters.wiring.apply import apply, by_hand, revert, way_back
from lora_tui.adapters.wiring.difference import unified
from lora_tui.adapters.wiring.plan import Change, Plan, make
from lora_tui.adapters.wiring.record import Record
from lora_tui.cli.confirm import confirmed
from lora_tui.cli.groups import Group
from lora_tui.cli.opencode_options import how_options, place_of, wanted_of_options, what_options, where_options
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, safe, table
from lora_tui.workspace.errors import BadInput


@click.group("opencode", cls=Group)
def group() -> None:
    """The specialists as models and agents of your opencode: shown, written, taken back."""


@group.command("apply")
@what_options
@where_options
@how_options
@click.option("--opencode", "program", default="", metavar="PATH", help="opencode's program; else on the PATH.")
@click.option("--no-check", is_flag=True, help="Do not ask opencode whether it takes the settings.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_cli
def apply_command(
    cli: Cli,
    /,
    place: str | None,
    config: Path | None,
    shape: Literal["v1", "v2"] | None,
    replace: bool,
    program: str,
    no_check: bool,
    yes: bool,
    **what: Any,
) -> None:
    """Show the difference, ask, and write the provider and an agent for each adapter.

    Comments and everything else in your files stay; `revert` brings the same bytes back. opencode reads its settings
    when it starts.
    """
    where = place_of(place, config)
    wanted, adapters, notes = wanted_of_options(cli, **what)
    plan = make(cli.workspace, where, wanted, shape=shape, replace=replace)
    difference = unified(plan.changes)
    notes += plan.notes
    found = None
    if difference and not no_check:
        found = _program(program)
        if found is None:
            notes.append("opencode is not installed here: whether it takes the settings was not tried.")
        else:
            from lora_tui.adapters.wiring.checking import check

            cli.say("asking opencode whether it takes the settings…")
            notes += check(plan, wanted, found, places.root_of(Path.cwd()))
    _show(cli, difference, notes)
    if not difference:
        cli.emit(_data(plan, notes, applied=False), "Nothing to do: the settings are as they should be.")
        return
    if not confirmed("Write this?", yes):
        raise click.exceptions.Abort
    made = apply(cli.workspace, plan, wanted, adapters)
    first = wanted.agents[0].model if wanted.agents else f"{wanted.provider}/{wanted.models[0].name}"
    cli.emit(
        {**_data(plan, notes, applied=True), "checked": found is not None, "record": made.number},
        f"Written. Start opencode anew; try: opencode run -m {first} hello\nBack: lora-tui opencode revert",
    )


@group.command("diff")
@what_options
@where_options
@how_options
@json_option
@pass_cli
def diff(
    cli: Cli,
    /,
    place: str | None,
    config: Path | None,
    shape: Literal["v1", "v2"] | None,
    replace: bool,
    **what: Any,
) -> None:
    """Show what `apply` would change, as a unified diff; nothing is touched."""
    where = place_of(place, config)
    wanted, _, notes = wanted_of_options(cli, **what)
    plan = make(cli.workspace, where, wanted, shape=shape, replace=replace)
    notes += plan.notes
    for note in [] if cli.json else notes:
        cli.say(f"note: {note}")
    cli.emit(_data(plan, notes, applied=False), lambda: unified(plan.changes).rstrip("\n") or "No difference.")


@group.command("revert")
@where_options
@click.option("--all", "everything", is_flag=True, help="At every place that was written to.")
@click.option("--force", is_flag=True, help="The files as they were, whatever you changed since; yours are kept aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_cli
def revert_command(cli: Cli, place: str | None, config: Path | None, everything: bool, force: bool, yes: bool) -> None:
    """Take back what `apply` wrote: the same bytes as before, files that were not there are gone.

    From a file that you changed since, our part alone is taken.
    """
    standing = _standing(cli, place, config, everything)
    done = []
    for made in standing:
        changes = way_back(cli.workspace, made, force=force)
        hand = by_hand(changes)
        notes = [
            f"{path} was changed by hand since: {'that is lost there' if force else 'that stays'}." for path in hand
        ]
        _show(cli, unified(changes), notes)
        if not confirmed(f"Take back what was written on {made.place}?", yes):
            raise click.exceptions.Abort
        kept = revert(cli.workspace, made, changes)
        for path in kept:
            cli.say(f"kept aside: {path}")
        done.append({"place": made.place, "files": [_file(change) for change in changes], "kept": kept, "notes": notes})
    cli.emit({"reverted": done}, f"Taken back: {', '.join(str(one['place']) for one in done)}.")


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List what stands in opencode's settings because `apply` wrote it."""
    found = record.records(cli.workspace)
    cli.emit(
        [_record(one) for one in found],
        lambda: table(
            [(one.place, one.config, ", ".join(one.adapters), one.url, ago(int(one.time * 1000))) for one in found],
            ("place", "settings", "adapters", "address", "age"),
            empty="nothing written: lora-tui opencode apply",
        ),
    )


@group.command("print")
@click.option(
    "--for",
    "client",
    default="opencode",
    show_default=True,
    metavar="CLIENT",
    help="opencode, openai, aider, ollama, together or curl.",
)
@what_options
@json_option
@pass_cli
def print_(cli: Cli, /, client: str, **what: Any) -> None:
    """Print settings to copy, for opencode or any other client; no file is written."""
    from lora_tui.adapters.wiring.clients import settings

    wanted, _, notes = wanted_of_options(cli, **what)
    text = settings(wanted, client)
    for note in [] if cli.json else notes:
        cli.say(f"note: {note}")
    cli.emit({"client": client, "settings": text, "notes": notes}, text)


def _standing(cli: Cli, place: str | None, config: Path | None, everything: bool) -> list[Record]:
    if place or config is not None:
        record.follow(cli.workspace, place_of(place, config))
    newest = {one.place: one for one in record.records(cli.workspace)}
    if not newest:
        raise BadInput("nothing of lora-tui's stands in opencode's settings", fix="See `lora-tui opencode list`.")
    if everything:
        return list(newest.values())
    if place or config is not None:
        name = place_of(place, config).name
        if name not in newest:
            raise BadInput(f"nothing was written there: {name}", fix=f"Written: {', '.join(newest)}.")
        return [newest[name]]
    if len(newest) > 1:
        raise BadInput("which one? Several stand", fix=f"--all, or --global, --project, --config: {', '.join(newest)}.")
    return list(newest.values())


def _program(named: str) -> Path | None:
    from lora_tui.sources.opencode.capture_run import find_program

    try:
        return find_program(named)
    except BadInput:
        if named:
            raise
        return None


def _show(cli: Cli, difference: str, notes: Sequence[str]) -> None:
    """The difference and what to know, for a person; under --json they are in the document."""
    if cli.json:
        return
    if difference:
        click.echo(safe(difference), nl=False)
    for note in notes:
        cli.say(f"note: {note}")


def _data(plan: Plan, notes: Sequence[str], *, applied: bool) -> dict[str, object]:
    return {
        "place": plan.place.name,
        "config": str(plan.place.config),
        "applied": applied,
        "diff": unified(plan.changes),
        "files": [_file(change) for change in plan.changes],
        "notes": list(notes),
    }


def _file(change: Change) -> dict[str, object]:
    did = "nothing"
    if change.is_one:
        did = "created" if change.current is None else "removed" if change.after is None else "changed"
    return {"path": change.touched.path, "target": change.touched.target, "kind": change.touched.kind, "change": did}


def _record(one: Record) -> dict[str, object]:
    return {
        "place": one.place,
        "config": one.config,
        "provider": one.provider,
        "url": one.url,
        "adapters": one.adapters,
        "time": one.time,
        "files": [file.path for file in one.files],
    }
