"""`lora-tui dataset`: immutable versions of accepted examples."""

from __future__ import annotations

import click

from lora_tui.backends import audits
from lora_tui.cli.dataset_audit import audit
from lora_tui.cli.dataset_build import build
from lora_tui.cli.dataset_compare import diff, verify
from lora_tui.cli.dataset_files import check, export, import_
from lora_tui.cli.dataset_stats import stats
from lora_tui.cli.dataset_text import version_data, version_text
from lora_tui.cli.dataset_tokens import tokens
from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.dataset import versions
from lora_tui.dataset.contamination import changed
from lora_tui.dataset.model import SPLITS, Rejected


@click.group("dataset", cls=Group)
def group() -> None:
    """What the trainer gets: immutable, hashed versions of accepted examples."""


for _command in (build, diff, verify, audit, tokens, stats, export, import_, check):
    group.add_command(_command)


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List every dataset version, newest first."""
    found = versions.versions(cli.workspace)
    for label, why in versions.unreadable(cli.workspace).items():
        cli.say(f"{label} cannot be read: {why}")
    cli.emit(
        [version_data(item) for item in found],
        lambda: table(
            [
                (
                    item.label,
                    *(item.manifest.rows.get(name, 0) for name in SPLITS),
                    ", ".join(item.manifest.by_language),
                    ago(int(item.manifest.created * 1000)),
                )
                for item in found
            ],
            ("dataset", *SPLITS, "languages", "age"),
            empty="no dataset yet: lora-tui dataset build NAME",
        ),
    )


@group.command("show", short_help="Show what is in a version, from where, and what leaks.")
@click.argument("name", metavar="NAME[@N]")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Show one version: its rows, where they are from, how they were split, what leaks, and what was changed since."""
    found = versions.find(cli.workspace, name)
    damaged = versions.damaged_files(found)
    warning = f"\nCHANGED SINCE IT WAS BUILT: {', '.join(damaged)}" if damaged else ""
    audited = audits.every(found)
    suites = changed(found.manifest.suites, cli.workspace)
    tokens = [
        {
            "base": item.base,
            "tokenizer": item.tokenizer,
            "max_length": item.max_length,
            "splits": item.splits,
            "errors": [finding.code for finding in item.errors],
        }
        for item in audited
    ]
    cli.emit(
        {**version_data(found), "damaged": damaged, "suites_changed": suites, "tokens": tokens},
        lambda: version_text(found, audited, suites) + warning,
    )


@group.command("rejected", short_help="List what a version left out, and why.")
@click.argument("name", metavar="NAME[@N]")
@click.option("--reason", metavar="TEXT", default="", help="Only where the reason holds this text.")
@json_option
@pass_cli
def rejected(cli: Cli, name: str, reason: str) -> None:
    """List what one version left out, and why."""
    found = [item for item in versions.rejected(versions.find(cli.workspace, name)) if reason in _why(item)]
    cli.emit(
        found,
        lambda: table(
            [(item.example, _why(item), item.request[:60]) for item in found],
            ("example", "reason", "request"),
            empty="nothing was left out" + (f" for {reason!r}" if reason else ""),
        ),
    )


def _why(item: Rejected) -> str:
    return f"{item.reason}: {item.about}" if item.about else item.reason
