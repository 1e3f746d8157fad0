"""`lora-tui ingest`: take in what a coding agent recorded."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.curation.refresh import Refreshed, refresh
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.workspace.errors import BadInput

_QUARANTINE_SHOWN = 20


@click.group("ingest")
def group() -> None:
    """Read the sessions your coding agent recorded. Your agent's files are only read, never changed."""


@group.command("opencode")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@json_option
@pass_cli
def opencode(cli: Cli, paths: tuple[Path, ...]) -> None:
    """Read opencode's sessions from its data folder, or from each PATH: a database, a data or a storage folder.

    Running it again reads only what is new or changed.
    """
    with cli.progress("reading sessions") as advance:
        report = ingest(cli.workspace, "opencode", paths, advance)
    with cli.progress("finding examples") as advance:
        examples = refresh(cli.workspace, advance)
    cli.emit(_as_data(report, examples), lambda: _as_text(report, examples))
    if report.failures:
        raise click.exceptions.Exit(BadInput.exit_code)


def _as_data(report: IngestReport, examples: Refreshed) -> dict[str, object]:
    return {
        "source": report.source,
        "sessions": report.sessions,
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "messages": report.messages,
        "quarantined": msgspec.to_builtins(report.quarantined),
        "stores": [{**msgspec.to_builtins(store), "quarantined": len(store.quarantined)} for store in report.stores],
        "failures": msgspec.to_builtins(report.failures),
        "examples": msgspec.to_builtins(examples),
    }


def _as_text(report: IngestReport, examples: Refreshed) -> str:
    lines = [
        f"{store.where} ({' + '.join(store.generations) or 'no sessions'}): {store.sessions} sessions"
        for store in report.stores
    ]
    lines.append(
        f"{report.sessions} sessions: {report.new} new, {report.changed} changed, {report.unchanged} unchanged"
        f"{' (not read again)' if report.unchanged else ''}; {report.messages} messages written"
    )
    dropped = ", ".join(f"{number} {reason}" for reason, number in sorted(examples.dropped.items()))
    lines.append(f"{examples.examples} examples new or changed")
    if dropped:
        lines.append(f"no examples: {dropped}")
    rows = report.quarantined
    if rows:
        lines.append(f"{len(rows)} rows could not be understood and were left out:")
        lines += [f"  {row.kind} {row.native_id}: {row.reason}" for row in rows[:_QUARANTINE_SHOWN]]
        if len(rows) > _QUARANTINE_SHOWN:
            lines.append(f"  … and {len(rows) - _QUARANTINE_SHOWN} more (--json lists them all)")
    for failure in report.failures:
        lines += [f"not read: {failure.what} ({failure.where})", f"  {failure.fix}"]
    return "\n".join(lines)
