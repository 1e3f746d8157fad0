"""`lora-tui adapters import|tag|remove`: what there is, and what points to it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.adapters import aliases, registry, removal, tags
from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.workspace.errors import BadInput


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Its name here; else the one it brings along, or the file's.")
@click.option("--version", default="", metavar="V", help="MAJOR.MINOR.PATCH; else the next one.")
@click.option("--base", default="", help="What it was made for, where it does not say so: a folder or OWNER/NAME.")
@click.option("--note", default="", help="A sentence for its card.")
@json_option
@pass_cli
def import_(cli: Cli, path: Path, name: str, version: str, base: str, note: str) -> None:
    """Take in an adapter: a folder in PEFT layout, a Together download, a .zip or .tar of one."""
    from lora_tui.adapters.taking_in import take_in

    taken = take_in(cli.workspace, path, name=name, version=version, base=base, note=note)
    for remark in taken.remarks:
        cli.say(remark)
    added = taken.adapter
    data = {"label": added.label, "folder": str(added.folder), "remarks": taken.remarks}
    about = added.metadata
    cli.emit(
        {**data, **msgspec.to_builtins(about)},
        f"{added.label}: r {about.r}, {about.parameters:,} parameters, for {about.base}\n{added.folder}",
    )


@click.command("tag")
@click.argument("name")
@click.argument("alias", nargs=-1)
@click.option("--domain", multiple=True, metavar="TAG", help="What it is for, as in rust; may be given more than once.")
@click.option("--remove", is_flag=True, help="Take these aliases and domains away.")
@click.option("--why", default="", help="The reason; the history keeps it.")
@click.option("--force", is_flag=True, help="Also production, where something speaks against it.")
@json_option
@pass_cli
def tag(
    cli: Cli, name: str, alias: tuple[str, ...], domain: tuple[str, ...], remove: bool, why: str, force: bool
) -> None:
    """Point aliases (production, candidate, …) to NAME@VERSION, or say what it is for.

    What serves now goes on as it was: `lora-tui promote` changes production there too.
    """
    found = registry.find(cli.workspace, name)
    label, owner = found.label, found.metadata.name
    if not alias and not domain:
        raise BadInput("nothing to tag it with", fix="Give an alias, as in production, or --domain TAG.")
    if remove:
        pointed = aliases.aliases(cli.workspace).get(owner, {})
        for item in alias:
            if pointed.get(item) != label:
                raise BadInput(f"{item} is not {label}", fix=f"It is {pointed.get(item, 'nothing')}.")
    if aliases.PRODUCTION in alias and not remove and not force:
        _check_gates(cli, found)
    tags.check(domain if not remove else ())
    before = aliases.move(cli.workspace, owner, dict.fromkeys(alias, "" if remove else label), why) if alias else {}
    if domain:
        tags.retag(cli.workspace, found, () if remove else domain, domain if remove else ())
    now = sorted(item for item, target in aliases.aliases(cli.workspace).get(owner, {}).items() if target == label)
    lines = [
        f"{item} is no longer {label}" if remove else f"{item} is {label}{f', it was {was}' if was else ''}"
        for item, was in before.items()
    ]
    kept = tags.tags(cli.workspace, found)
    lines += [f"{label} is for {', '.join(kept) or 'nothing in particular'}"] if domain else []
    cli.emit({"label": label, "aliases": now, "before": before, "tags": kept}, "\n".join(lines))


def _check_gates(cli: Cli, item: registry.Adapter) -> None:
    """As a promotion asks them: one name for both would else be two ways to the same place. Raises BadInput."""
    from lora_tui.verify.promotion import reasons_against

    if against := reasons_against(cli.workspace, item):
        raise BadInput("; ".join(against), where=item.label, fix="--force makes it production all the same.")


@click.command("remove")
@click.argument("name")
@click.option("--why", default="", help="The reason; `list --all` shows it.")
@click.option("--force", is_flag=True, help="Also when an alias points to it; the alias is dropped.")
@json_option
@pass_cli
def remove(cli: Cli, name: str, why: str, force: bool) -> None:
    """Remove NAME@VERSION. Its number is never given again."""
    after = removal.descendants(cli.workspace, name)
    folder = cli.workspace.adapters / name.replace("@", "/", 1)
    elsewhere = folder.resolve() if folder.is_symlink() else None
    gone = removal.remove(cli.workspace, name, why, force=force)
    if after:
        cli.say(f"{', '.join(after)} came from it and stay as they are")
    if elsewhere is not None:
        cli.say(f"it was a link; what it pointed to stays, {elsewhere}")
    cli.emit({"label": gone.label, **msgspec.to_builtins(gone), "descendants": after}, f"removed {gone.label}")


COMMANDS = (import_, tag, remove)
