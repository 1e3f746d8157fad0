"""`lora-tui ingest`: take in what your coding agents recorded. One command per source, made from the sources' table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Advance, Cli, json_option, pass_cli, table
from lora_tui.sources.registry import SOURCES, Quarantined
from lora_tui.workspace.errors import BadInput, SourceError

if TYPE_CHECKING:
    from lora_tui.curation.refresh import Refreshed
    from lora_tui.sources.discover import Discovery
    from lora_tui.sources.ingest import Failure, IngestReport

_QUARANTINE_SHOWN = 20


class Sources(Group):
    """The sources' table as commands; no source is imported to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every source, in the order of the table."""
        return list(SOURCES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one source."""
        return _command(cmd_name) if cmd_name in SOURCES else None


@click.group("ingest", cls=Sources, invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Read every history found on this machine.")
@click.option("--dry-run", is_flag=True, help="With --all: only show what would be read.")
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Read PATH with the source that knows it (repeatable).",
)
@json_option
@click.pass_context
def group(context: click.Context, everything: bool, dry_run: bool, yes: bool, paths: tuple[Path, ...]) -> None:
    """Read the sessions your coding agent recorded. Your agent's files are only read, never changed."""
    if context.invoked_subcommand is not None:
        if everything or dry_run or yes or paths:
            raise BadInput(
                "--all, --path, --dry-run and --yes are for all sources",
                fix=f"Leave them out, or leave out {context.invoked_subcommand!r}.",
            )
        return
    cli = context.ensure_object(Cli)
    if paths and not everything:
        _read(cli, _by_source(paths))
    elif everything and not paths:
        _everything(cli, dry_run, yes)
    elif everything:
        raise BadInput("--all and --path exclude each other", fix="Give one of them.")
    elif dry_run or yes or cli.json:
        raise BadInput("say what to read", fix=f"--all, --path PATH, or a source: {', '.join(SOURCES)}.")
    else:
        click.echo(context.get_help(), err=True)
        context.exit(BadInput.exit_code)


def _command(name: str) -> click.Command:
    known = SOURCES[name]

    @click.command(
        name,
        short_help=known.line,
        help=f"{known.line}\n\n"
        f"PATH is {known.paths or 'a file or a folder'}; without one, what is found on this machine.\n\n"
        "Running it again reads only what is new or changed.",
    )
    @click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
    @json_option
    @pass_cli
    def read(cli: Cli, paths: tuple[Path, ...]) -> None:
        from lora_tui.sources.ingest import ingest

        with cli.progress("reading sessions") as advance:
            report = ingest(cli.workspace, name, paths, _safely(advance))
        examples = _refreshed(cli)
        cli.emit(
            {**_as_data(report), "examples": _plain(examples)},
            lambda: _joined(_as_text([report]), _examples_text(examples), _problems_text([report], [])),
        )
        if report.failures:
            raise click.exceptions.Exit(BadInput.exit_code)

    return read


def _everything(cli: Cli, dry_run: bool, yes: bool) -> None:
    """Say what would be read; then, unless somebody says no, read it."""
    from lora_tui.sources.discover import discover

    found = discover()
    if dry_run or not found.found:
        cli.emit(_plain(found), lambda: _found_text(found))
        return
    cli.say(_found_text(found))
    on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if on_terminal and not yes and not click.confirm("Read them now?", default=True, err=True):
        raise click.exceptions.Exit(0)
    _read(cli, [(name, ()) for name in found.names])


def _by_source(paths: Sequence[Path]) -> list[tuple[str, tuple[Path, ...]]]:
    """Which source reads which paths. Raises BadInput for a path that none can read."""
    from lora_tui.sources.discover import source_of

    chosen: dict[str, tuple[Path, ...]] = {}
    for path in paths:
        name = source_of(path)
        chosen[name] = (*chosen.get(name, ()), path)
    return list(chosen.items())


def _read(cli: Cli, wanted: Sequence[tuple[str, tuple[Path, ...]]]) -> None:
    """Read several sources; one that cannot be read does not stop the others. Exit code 2 when there was one."""
    from lora_tui.sources.ingest import Failure, ingest

    reports: list[IngestReport] = []
    failures: list[Failure] = []
    for name, paths in wanted:
        try:
            with cli.progress(f"reading {name}") as advance:
                reports.append(ingest(cli.workspace, name, paths, _safely(advance)))
        except SourceError as error:
            failures.append(Failure(error.where or name, error.what, error.fix))
    examples = _refreshed(cli)
    data = {
        "sources": [_as_data(report) for report in reports],
        "failures": _plain(failures),
        "examples": _plain(examples),
    }
    cli.emit(
        data,
        lambda: _joined(_as_text(reports), _examples_text(examples), _problems_text(reports, failures)),
    )
    if failures or any(report.failures for report in reports):
        raise click.exceptions.Exit(BadInput.exit_code)


def _safely(advance: Advance) -> Callable[[int, int, str], None]:
    """Progress with titles in which no secret stands."""
    from lora_tui.curation.redact import redact_text

    return lambda done, total, title: advance(done, total, redact_text(title)[0])


def _refreshed(cli: Cli) -> Refreshed:
    from lora_tui.curation.refresh import refresh

    with cli.progress("finding examples") as advance:
        return refresh(cli.workspace, advance)


def _plain(data: object) -> object:
    import msgspec

    plain: object = msgspec.to_builtins(data)
    return plain


def _left_out(report: IngestReport) -> list[Quarantined]:
    """The rows that were not understood; a reason may quote what stood there."""
    import msgspec

    from lora_tui.curation.redact import redact_text

    return [msgspec.structs.replace(row, reason=redact_text(row.reason)[0]) for row in report.quarantined]


def _as_data(report: IngestReport) -> dict[str, object]:
    import msgspec

    return {
        "source": report.source,
        "sessions": report.sessions,
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "messages": report.messages,
        "quarantined": _plain(_left_out(report)),
        "stores": [{**msgspec.to_builtins(store), "quarantined": len(store.quarantined)} for store in report.stores],
        "failures": _plain(report.failures),
    }


def _found_text(found: Discovery) -> str:
    rows = [
        (place.source, "?" if place.sessions is None else f"{place.sessions:,}", place.amount, place.shown)
        for place in found.found
    ]
    lines = ["Found on this machine (opened read-only):", table(rows, ("source", "sessions", "size", "where"))]
    if not rows:
        lines = ["No agent's history was found on this machine."]
    if found.missing:
        lines += ["Not found:", *(f"  {one.source:<16} {one.what}" for one in found.missing)]
    if not rows:
        lines.append("Kept elsewhere? lora-tui ingest --path PATH. To see the whole loop first: lora-tui demo.")
    return "\n".join(lines)


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _many(sessions: int) -> str:
    return f"{sessions:,} session{'' if sessions == 1 else 's'}"


def _as_text(reports: Sequence[IngestReport]) -> str:
    lines: list[str] = []
    for report in reports:
        lines += [
            f"{store.where} ({' + '.join(store.generations) or 'no sessions'}): {_many(store.sessions)}"
            for store in report.stores
        ]
        lines.append(
            f"{report.source}: {_many(report.sessions)}: {report.new} new, {report.changed} changed, "
            f"{report.unchanged} unchanged{' (not read again)' if report.unchanged else ''}; "
            f"{report.messages} messages written"
        )
    return "\n".join(lines)


def _examples_text(examples: Refreshed) -> str:
    dropped = ", ".join(f"{number} {reason}" for reason, number in sorted(examples.dropped.items()))
    made = f"{examples.examples:,} example{'' if examples.examples == 1 else 's'} new or changed"
    return f"{made}\nno examples: {dropped}" if dropped else made


def _problems_text(reports: Sequence[IngestReport], failures: Sequence[Failure]) -> str:
    lines: list[str] = []
    rows = [row for report in reports for row in _left_out(report)]
    if rows:
        lines.append(f"{len(rows)} row{'' if len(rows) == 1 else 's'} not understood and left out:")
        lines += [f"  {row.kind} {row.native_id}: {row.reason} ({row.where})" for row in rows[:_QUARANTINE_SHOWN]]
        if len(rows) > _QUARANTINE_SHOWN:
            lines.append(f"  … and {len(rows) - _QUARANTINE_SHOWN} more (--json lists them all)")
    for failure in [*(failure for report in reports for failure in report.failures), *failures]:
        lines += [f"not read: {failure.what} ({failure.where})", f"  {failure.fix}"]
    return "\n".join(lines)
