"""`lora-tui dataset`: immutable versions of accepted examples."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import load_profile


@click.group("dataset")
def group() -> None:
    """What the trainer gets: immutable, hashed versions of accepted examples."""


@group.command("build")
@click.argument("name")
@click.option("--language", "languages", multiple=True, metavar="L", help="Only this language (repeatable).")
@click.option("--profile", metavar="P", help="Select as this profile says.")
@click.option("--split", default="80/10/10", show_default=True, help="Train, validation and test in percent.")
@click.option("--seed", default=42, show_default=True)
@json_option
@pass_cli
def build(cli: Cli, name: str, languages: tuple[str, ...], profile: str | None, split: str, seed: int) -> None:
    """Make the next version of the dataset NAME."""
    recipe = load_profile(cli.workspace, profile) if profile else None
    with cli.progress("examples") as progress:
        built = versions.build(
            cli.workspace,
            name,
            languages=languages or (recipe.data.languages if recipe else ()),
            min_confidence=recipe.data.min_confidence if recipe else 0.0,
            shares=_shares(split),
            seed=seed,
            profile=recipe.name if recipe else "",
            progress=progress,
        )
    cli.emit(_data(built), lambda: _text(built))


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List every dataset version, newest first."""
    found = versions.versions(cli.workspace)
    cli.emit(
        [_data(item) for item in found],
        lambda: table(
            [
                (
                    item.label,
                    *(item.manifest.rows[name] for name in SPLITS),
                    ", ".join(item.manifest.by_language),
                    ago(int(item.manifest.created * 1000)),
                )
                for item in found
            ],
            ("dataset", *SPLITS, "languages", "age"),
            empty="no dataset yet: lora-tui dataset build NAME",
        ),
    )


@group.command("show")
@click.argument("name")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Show one version (NAME or NAME@N) and whether its files are what the manifest says."""
    found = versions.find(cli.workspace, name)
    damaged = versions.damaged_files(found)
    warning = f"\nCHANGED SINCE IT WAS BUILT: {', '.join(damaged)}" if damaged else ""
    cli.emit({**_data(found), "damaged": damaged}, lambda: _text(found) + warning)


def _shares(text: str) -> tuple[int, int, int]:
    try:
        train, validation, test = (int(part) for part in text.split("/"))
    except ValueError:
        raise BadInput(f"the split {text!r} cannot be read", fix="Write it as 80/10/10.") from None
    return train, validation, test


def _data(dataset: Dataset) -> dict[str, object]:
    data: dict[str, object] = msgspec.to_builtins(dataset.manifest)
    return {"label": dataset.label, "folder": str(dataset.folder), **data}


def _text(dataset: Dataset) -> str:
    manifest = dataset.manifest
    lines = [
        f"{dataset.label}: " + ", ".join(f"{manifest.rows[name]} {name}" for name in SPLITS),
        f"  languages  {_counted(manifest.by_language)}",
        f"  sources    {_counted(manifest.by_source)}",
        f"  written by {_counted(manifest.by_model)}",
        f"  left out   {_counted(manifest.left_out) or 'nothing'}",
        f"  split      {manifest.split_rule}; seed {manifest.seed}",
        f"  folder     {dataset.folder}",
    ]
    if not manifest.rows["validation"]:
        lines.append("  too few sessions for a validation split: the run will have no eval loss")
    return "\n".join(lines)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
