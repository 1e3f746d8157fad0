"""`lora-tui dataset audit`: what a model would be trained on, and what is wrong with it."""

from __future__ import annotations

import click
import msgspec

from lora_tui.backends import audits, bases
from lora_tui.backends.intact import check_intact
from lora_tui.cli.audit_text import audit_text
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli
from lora_tui.cli.overlays import Overlay, overlay_options
from lora_tui.dataset import versions
from lora_tui.jobs.audit import Audited
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Model, Profile


@click.command("audit", short_help="Say what a model would be trained on, and what is wrong.")
@click.argument("name", metavar="NAME[@N]")
@click.option("--model", metavar="PATH_OR_ID", help="The base model: a folder or a Hugging Face id.")
@click.option("--profile", metavar="NAME", help="Base, max_length and languages of this profile.")
@click.option("--max-length", type=NUMBER, help="Tokens that a row may have; else the profile's, or 4,096.")
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="Only this suite's prompts; again for more.")
@overlay_options
@json_option
@pass_cli
def audit(
    cli: Cli,
    name: str,
    model: str | None,
    profile: str | None,
    max_length: int | None,
    suites: tuple[str, ...],
    overlay: Overlay,
) -> None:
    """Count a dataset with a model's own template and say what should not be trained on.

    Exit code 1 when there is an error, which `lora-tui train` would refuse; the audit is kept, so asking again is
    instant.
    """
    recipe = _recipe(cli, model, profile, max_length, overlay)
    dataset = versions.find(cli.workspace, name)
    check_intact(dataset)
    base = bases.resolve(cli.workspace, recipe)
    with cli.progress("audit") as advance:
        found = audits.ensure(
            cli.workspace,
            dataset,
            base,
            recipe,
            suites or None,
            progress=lambda stage, done, total: advance(done, total, stage),
        )
    cli.emit(data(dataset.label, found), lambda: audit_text(dataset.label, found))
    if found.errors:
        click.get_current_context().exit(1)


def data(label: str, found: Audited) -> dict[str, object]:
    """The audit for programs."""
    return {"dataset": label, **msgspec.to_builtins(found)}


def _recipe(cli: Cli, model: str | None, profile: str | None, max_length: int | None, overlay: Overlay) -> Profile:
    if profile is None and model is None:
        raise BadInput("which model? Nothing is counted without one", fix="Give --model PATH_OR_ID, or --profile NAME.")
    if not profile and overlay != Overlay():
        raise BadInput("--preset and --set are laid over a profile, and none is named", fix="Give --profile NAME too.")
    unnamed = Profile(name="audit", model=Model(base=model or ""))
    recipe = overlay.load(cli.workspace, profile) if profile else unnamed
    if model:
        recipe = msgspec.structs.replace(recipe, model=Model(base=model))
    if max_length:
        training = msgspec.structs.replace(recipe.training, max_length=max_length)
        recipe = msgspec.structs.replace(recipe, training=training)
    return recipe
