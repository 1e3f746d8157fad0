"""`lora-tui dataset`: immutable versions of accepted examples."""

from __future__ import annotations

from typing import get_args

import click
import msgspec

from lora_tui.cli.dataset_recipe import recipe_options
from lora_tui.cli.dataset_stats import stats
from lora_tui.cli.dataset_tokens import tokens
from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, Number, ago, json_option, pass_cli, table
from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS, Dataset, Rejected
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Data, Form, Outcome, Shape, ToolTarget, load_profile

_REASONS = 12  # shown; `dataset rejected` lists the others


@click.group("dataset", cls=Group)
def group() -> None:
    """What the trainer gets: immutable, hashed versions of accepted examples."""


@group.command("build")
@click.argument("name")
@click.option("--profile", metavar="P", help="Select and shape as this profile's [data] says; options go before it.")
@click.option("--language", "languages", multiple=True, metavar="L", help="Only this language (repeatable).")
@click.option(
    "--outcome", "outcomes", multiple=True, metavar="O", help="Only these: success,unknown,complained,failed."
)
@click.option("--model", "models", multiple=True, metavar="M", help="Only answers of this model (repeatable).")
@click.option("--source", "sources", multiple=True, metavar="S", help="Only this source (repeatable).")
@click.option("--synthetic-share", type=click.FloatRange(0, 1), help="Of a language's rows, at most. [0.5]")
@click.option("--shape", type=click.Choice(get_args(Shape)), help="Conversations with tool calls, or edits. [agent]")
@click.option("--form", type=click.Choice(get_args(Form)), help="How a plain answer writes its edit. [search-replace]")
@click.option("--target", "tool_target", type=click.Choice(get_args(ToolTarget)), help="Tool names. [opencode-v1]")
@click.option("--cap", type=Number(), help="Characters kept of a tool's output; 0: all. [2000]")
@click.option("--context", type=Number(), help="Characters of earlier requests, shown but not learned. [6000]")
@click.option("--capture", metavar="AGENT", help="Rows carry this agent's captured prompt and tools.")
@click.option("--reasoning/--no-reasoning", default=None, help="Keep what the model thought. [no]")
@recipe_options
@click.option("--split", default="80/10/10", show_default=True, help="Train, validation and test in percent.")
@click.option("--seed", default=42, show_default=True)
@json_option
@pass_cli
def build(cli: Cli, /, name: str, profile: str | None, split: str, seed: int, **given: object) -> None:
    """Make the next version of the dataset NAME."""
    recipe = load_profile(cli.workspace, profile) if profile else None
    with cli.progress("examples") as progress:
        built = versions.build(
            cli.workspace,
            name,
            _recipe(recipe.data if recipe else Data(), given),
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


@group.command("rejected")
@click.argument("name")
@click.option("--reason", metavar="TEXT", default="", help="Only where the reason holds this text.")
@json_option
@pass_cli
def rejected(cli: Cli, name: str, reason: str) -> None:
    """List what one version (NAME or NAME@N) left out, and why."""
    found = [item for item in versions.rejected(versions.find(cli.workspace, name)) if reason in _why(item)]
    cli.emit(
        found,
        lambda: table(
            [(item.example, _why(item), item.request[:60]) for item in found],
            ("example", "reason", "request"),
            empty="nothing was left out" + (f" for {reason!r}" if reason else ""),
        ),
    )


group.add_command(stats)
group.add_command(tokens)


def _recipe(data: Data, given: dict[str, object]) -> Data:
    """The profile's recipe with what was given on the command line. Raises BadInput."""
    changes: dict[str, object] = {}
    for key, value in given.items():
        if isinstance(value, tuple):
            value = tuple(part.strip() for one in value for part in str(one).split(",") if part.strip())
        if value is not None and value != ():
            changes[key] = value
    unknown = set(map(str, changes.get("outcomes", ()))) - set(get_args(Outcome))  # type: ignore[call-overload]
    if unknown:
        raise BadInput(f"there is no outcome {min(unknown)!r}", fix=f"Known: {', '.join(get_args(Outcome))}.")
    return msgspec.structs.replace(data, **changes)


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
        f"  rows       {_counted(manifest.by_shape)}; {manifest.shaping}",
        f"  languages  {_counted(manifest.by_language)}",
        f"  sources    {_counted(manifest.by_source)}",
        f"  origins    {_counted(manifest.by_origin)}",
        f"  licences   {_counted(manifest.by_licence)}",
        f"  written by {_counted(manifest.by_model)}",
        f"  redacted   {_counted(manifest.findings) or 'nothing'}",
        f"  left out   {sum(manifest.left_out.values()) or 'nothing'}",
        *(f"    {number:>5}  {reason}" for reason, number in _by_number(manifest.left_out)),
        f"  split      {manifest.split_rule}; seed {manifest.seed}",
        f"  folder     {dataset.folder}",
    ]
    if terms := [model for model in manifest.by_model if model != "unknown"]:
        lines.append(
            f"  Some providers do not allow training on what their models wrote: check the terms of {', '.join(terms)}."
        )
    if not manifest.rows["validation"]:
        lines.append("  too few sessions for a validation split: the run will have no eval loss")
    return "\n".join(lines)


def _why(item: Rejected) -> str:
    return f"{item.reason}: {item.about}" if item.about else item.reason


def _by_number(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_REASONS]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
