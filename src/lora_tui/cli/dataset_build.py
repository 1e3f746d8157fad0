"""`lora-tui dataset build`: the next version of a dataset, from examples or from another version's manifest."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec
from click.core import ParameterSource

from lora_tui.cli.dataset_recipe import recipe_options
from lora_tui.cli.dataset_text import version_data, version_text
from lora_tui.cli.output import Cli, Number, json_option, pass_cli
from lora_tui.dataset import versions
from lora_tui.dataset.rebuild import rebuild
from lora_tui.dataset.shares import shares as parsed_shares
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Data, Form, Outcome, Shape, ToolTarget, load_profile

_GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


@click.command("build", short_help="Make the next version from the accepted examples.")
@click.argument("name")
@click.option("--profile", metavar="NAME", help="As this profile's [data] says; options given here win over it.")
@click.option("--language", "languages", multiple=True, metavar="L", help="Only this language (repeatable).")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    metavar="O",
    help="Only these (repeatable): success, unknown, complained, failed.",
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
@click.option(
    "--split",
    metavar="P/P/P",
    default="80/10/10",
    show_default=True,
    help="Train, validation and test in percent.",
)
@click.option("--seed", default=42, show_default=True, help="Of what is drawn by chance.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Make this version again, byte by byte: a folder with manifest.toml and members.jsonl, of any workspace.",
)
@json_option
@pass_cli
def build(
    cli: Cli,
    /,
    name: str,
    profile: str | None,
    split: str,
    seed: int,
    manifest: Path | None,
    **given: object,
) -> None:
    """Make the next version of the dataset NAME from the accepted examples.

    What is alike stays in one split, what a suite asks stays out of train, and what was in test stays there.
    `dataset rejected` lists what was left out.
    """
    if manifest is not None:
        _alone(click.get_current_context())
        folder = manifest.parent if manifest.name == versions.MANIFEST else manifest
        with cli.progress("rows") as progress:
            again = rebuild(cli.workspace, versions.opened(folder), name, progress)
        cli.emit(version_data(again), lambda: version_text(again))
        return
    recipe = load_profile(cli.workspace, profile) if profile else None
    with cli.progress("examples") as progress:
        built = versions.build(
            cli.workspace,
            name,
            _recipe(recipe.data if recipe else Data(), given),
            shares=parsed_shares(split),
            seed=seed,
            profile=recipe.name if recipe else "",
            progress=progress,
        )
    cli.emit(version_data(built), lambda: version_text(built))


def _alone(context: click.Context) -> None:
    """Raises UsageError where a recipe is given beside a manifest, which has its own."""
    for name in context.params:
        if name not in ("name", "manifest") and context.get_parameter_source(name) in _GIVEN:
            option = next(item.opts[0] for item in context.command.params if item.name == name)
            raise click.UsageError(f"{option} does not go with --manifest, which tells everything", context)


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
