"""`lora-tui dataset stats`: what a version holds, at a glance."""

from __future__ import annotations

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.cli.stats_text import stats_text
from lora_tui.curation import suites as known_suites
from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.dataset.statistics import statistics
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths


@click.command("stats", short_help="Count languages, roles, duplicates, tokens, topics.")
@click.argument("name", metavar="NAME[@N]")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    help="How far train speaks of this suite's prompts; again for more. Else the suite of the version's profile.",
)
@json_option
@pass_cli
def stats(cli: Cli, name: str, suites: tuple[str, ...]) -> None:
    """Count what a version holds: languages, roles, duplicates, tokens, and the topics of a suite."""
    dataset = versions.find(cli.workspace, name)
    files = known_suites.suite_files(cli.workspace)
    wanted = suites or _of_profile(cli.workspace, dataset)
    there = sorted(files)
    if unknown := sorted(set(suites) - set(there)):
        raise BadInput(f"there is no suite {unknown[0]!r}", fix=f"Known: {', '.join(there) or 'none'}.")
    prompts = [(suite, prompt) for suite in wanted if suite in files for prompt in known_suites.prompts(files[suite])]
    found = statistics(dataset, prompts)
    hint = "" if found.coverage else f"\n\ncoverage of a suite's topics: --suite {'|'.join(there)}" if there else ""
    cli.emit(msgspec.to_builtins(found), lambda: stats_text(found) + hint)


def _of_profile(workspace: Workspace, dataset: Dataset) -> tuple[str, ...]:
    """The suite that the profile which the version was built by is verified with."""
    profile = dataset.manifest.profile
    if profile not in profile_paths(workspace):
        return ()
    suite = load_profile(workspace, profile).verification.suite
    return (suite,) if suite else ()
