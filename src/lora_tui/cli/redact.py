"""`lora-tui redact`: what would be replaced, and by which rules."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.curation.redact_rules import switched_off
from lora_tui.curation.redact_rules import table as rule_table
from lora_tui.curation.redact_stream import Finding, findings
from lora_tui.workspace.errors import BadInput

_FOUND_SECRETS = 1


@click.group("redact", cls=Group)
def group() -> None:
    """Secrets and personal data: what the rules find. Values are never printed."""


@group.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@json_option
@pass_cli
def check(cli: Cli, files: tuple[Path, ...]) -> None:
    """Say where FILEs hold secrets or personal data, without showing them; - reads standard input.

    Exit code 1 when there is any secret; personal data alone is no failure.
    """
    off = switched_off(cli.workspace)
    found = [(str(file), _in_file(file, off)) for file in files]
    counts = Counter(finding.rule for _, list_ in found for finding in list_)
    secrets = sum(finding.kind == "secret" for _, list_ in found for finding in list_)

    def text() -> str:
        lines = [
            f"{name}:{finding.line}:{finding.column}: {finding.rule}"
            f"{' (personal)' if finding.kind == 'personal' else ''}{' (keeps an example out)' * _blocks(finding)}"
            for name, list_ in found
            for finding in list_
        ]
        rules = ", ".join(f"{number} {rule}" for rule, number in counts.most_common())
        return "\n".join(
            [*lines, f"secrets: {secrets}, personal: {counts.total() - secrets}{f' ({rules})' * bool(rules)}"]
        )

    cli.emit(
        {
            "files": [{"file": name, "findings": msgspec.to_builtins(list_)} for name, list_ in found],
            "secrets": secrets,
            "personal": counts.total() - secrets,
            "by_rule": dict(sorted(counts.items())),
        },
        text,
    )
    if secrets:
        raise click.exceptions.Exit(_FOUND_SECRETS)


@group.command("rules")
@json_option
@pass_cli
def rules(cli: Cli) -> None:
    """List the rules. Those for personal data can be switched off: [redact] off = ["ipv4"] in config.toml."""
    off = switched_off(cli.workspace)
    known = rule_table()
    rows = [(rule.id, rule.kind, rule.action, "off" if rule.id in off else "on") for rule in known.rule]
    names = ("rule", "kind", "action", "state")
    cli.emit(
        {"version": known.version, "rules": [dict(zip(names, row, strict=True)) for row in rows]},
        lambda: f"{table(rows, names)}\n{len(rows)} rules, version {known.version}",
    )


def _blocks(finding: Finding) -> bool:
    return finding.action == "block"


def _in_file(path: Path, off: frozenset[str]) -> list[Finding]:
    if str(path) == "-":
        return list(findings(sys.stdin.buffer, off))
    if path.is_dir():
        raise BadInput("this is a folder", where=str(path), fix="Give its files: find FOLDER -type f -exec … {} +")
    try:
        with path.open("rb") as file:
            return list(findings(file, off))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path), fix="Check the path.") from error
