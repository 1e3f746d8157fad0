"""`lora-tui profiles`: the recipes."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.profiles import load_profile, profile_paths
from lora_tui.workspace.profiles.loading import preset_description, preset_paths, profile_layers
from lora_tui.workspace.profiles.sanity import Problem
from lora_tui.workspace.profiles.writing import documented, new_profile, settings_layers


@click.group("profiles", cls=Group)
def group() -> None:
    """The recipes of the specialists: base model, data, LoRA, training, verification."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the profiles and the presets; your own lie in the workspace's profiles folder.

    A profile that cannot be read is listed with the reason.
    """
    good, bad = [], []
    for name, path in profile_paths(cli.workspace).items():
        try:
            good.append((load_profile(cli.workspace, name), path))
        except LoraTuiError as error:
            bad.append((name, path, error))
    presets = {name: preset_description(path) for name, path in preset_paths(cli.workspace).items()}
    data: list[dict[str, object]] = [{**msgspec.to_builtins(item), "path": str(path)} for item, path in good]
    data += [{"name": name, "path": str(path), "error": str(error)} for name, path, error in bad]

    def text() -> str:
        rows: list[tuple[object, ...]] = [
            (
                item.name,
                item.model.base,
                ", ".join(item.data.languages) or "all",
                item.lora.r,
                item.lora.lora_alpha,
                item.description,
            )
            for item, _ in good
        ]
        lines = [table(rows, ("profile", "base", "languages", "r", "alpha", "what for"))]
        lines += [f"{name}: {error}" for name, _, error in bad]
        lines += ["", table(list(presets.items()), ("--preset", "what it lays over a profile"))]
        return "\n".join(lines)

    cli.emit(data, text)


@group.command("show")
@click.argument("name")
@overlay_options
@json_option
@pass_cli
def show(cli: Cli, name: str, overlay: Overlay) -> None:
    """Show every key of one profile with what it means, defaults and what it inherits included.

    What is printed is a profile file in itself.
    """
    found = load_profile(cli.workspace, name, presets=overlay.presets, settings=overlay.settings)

    def text() -> str:
        *parents, own = profile_layers(cli.workspace, name)
        head = f"# {own.source}" + "".join(f", which extends {layer.source}" for layer in reversed(parents))
        return f"{head}\n{documented(found)}".rstrip()

    cli.emit(msgspec.to_builtins(found), text)


@group.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--base", metavar="FOLDER", default="", help="Look at the layers of this model instead of the profile's.")
@overlay_options
@json_option
@pass_cli
def check(cli: Cli, names: tuple[str, ...], base: str, overlay: Overlay) -> None:
    """Check profiles (all of them, if none is named): keys, combinations, what this machine lacks, what the base has.

    Where the base is on this machine the engine looks whether it has the layers to train. Exit code 1 when there is an
    error.
    """
    from lora_tui.backends import profile_check
    from lora_tui.cli.profile_check_text import report

    found: list[tuple[str, profile_check.Checked]] = []
    with cli.progress("check") as advance:
        for name in names or tuple(profile_paths(cli.workspace)):
            try:
                profile = load_profile(cli.workspace, name, presets=overlay.presets, settings=overlay.settings)
            except LoraTuiError as error:
                if names and len(names) == 1:
                    raise
                problem = Problem("error", "", str(error).replace("\n", " "))
                found.append((name, profile_check.Checked(problems=(problem,))))
                continue
            checked = profile_check.check(
                cli.workspace, profile, base=base, progress=lambda stage, done, total: advance(done, total, stage)
            )
            found.append((profile.name, checked))
    cli.emit(
        [{"name": name, "ok": not item.errors, **msgspec.to_builtins(item)} for name, item in found],
        lambda: report(found, with_table=len(found) == 1),
    )
    if any(item.errors for _, item in found):
        click.get_current_context().exit(1)


@group.command("new")
@click.argument("name")
@click.option("--from", "parent", required=True, metavar="PROFILE", help="The profile that it extends.")
@click.option("--description", default="", metavar="TEXT", help="What it is for; else the parent's.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What is different; again for more.")
@json_option
@pass_cli
def new(cli: Cli, name: str, parent: str, description: str, settings: tuple[str, ...]) -> None:
    """Write a profile of your own into the workspace, which says only what differs from another one."""
    layers = settings_layers(cli.workspace, parent, settings)
    path = new_profile(cli.workspace, name, parent, layers, description=description)
    cli.emit({"name": name, "path": str(path)}, lambda: f"{path}\n\n{path.read_text().rstrip()}")
