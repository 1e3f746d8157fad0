"""`lora-tui mine`: commits of git repositories as training candidates."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.cli.output import Cli, Number, json_option, pass_cli, table
from lora_tui.curation.refresh import Refreshed, refresh
from lora_tui.sources.git.filters import Filters
from lora_tui.sources.git.filters import table as filters_table
from lora_tui.sources.git.funnel import Funnel
from lora_tui.sources.git.mine import MAX_CHARACTERS, Mined, mine
from lora_tui.sources.ingest import Failure
from lora_tui.workspace.errors import BadInput, SourceError


@click.command("mine")
@click.argument("repositories", nargs=-1, type=click.Path(path_type=Path), metavar="REPO...")
@click.option("--language", "languages", multiple=True, metavar="L", help="Only this language (repeatable).")
@click.option("--without", "off", multiple=True, metavar="RULE", help="Leave a rule out (repeatable).")
@click.option("--with", "on", multiple=True, metavar="RULE", help="Add a rule that is off (repeatable).")
@click.option("--rules", "show_rules", is_flag=True, help="List the rules, then stop.")
@click.option(
    "--max-chars",
    type=Number(500, 1_000_000),
    default=MAX_CHARACTERS,
    show_default=True,
    help="Longest example (code before and after); longer files are cut to the functions around the changes.",
)
@click.option("--dry-run", is_flag=True, help="Only count; store nothing.")
@click.option("--again", is_flag=True, help="Read commits again that an earlier mining saw.")
@json_option
@pass_cli
def command(
    cli: Cli,
    repositories: tuple[Path, ...],
    languages: tuple[str, ...],
    off: tuple[str, ...],
    on: tuple[str, ...],
    show_rules: bool,
    max_chars: int,
    dry_run: bool,
    again: bool,
) -> None:
    """Take in the commits of each REPO that are worth learning from: what was asked, the code as it was, the edits.

    REPO is a clone, a folder inside one, or a bare repository. It is only read; nothing is fetched. What each rule
    left out is shown. Running it again reads only new commits.
    """
    filters = Filters(languages, on, off)
    if show_rules:
        _show_rules(cli, filters)
        return
    if not repositories:
        raise BadInput("no repository given", fix="Give the folder of a clone: lora-tui mine ~/src/project")
    mined: list[Mined] = []
    failures: list[Failure] = []
    first: SourceError | None = None
    with cli.progress("reading commits") as advance:
        for path in repositories:
            try:
                mined.append(mine(None if dry_run else cli.workspace, path, filters, max_chars, again, advance))
            except SourceError as error:
                first = first or error
                failures.append(Failure(error.where or str(path), error.what, error.fix))
    if first is not None and not mined:
        raise first
    examples = None
    if not dry_run:
        with cli.progress("finding examples") as advance:
            examples = refresh(cli.workspace, advance)
    cli.emit(_as_data(mined, failures, examples), lambda: _as_text(mined, failures, examples, filters))
    if failures:
        raise click.exceptions.Exit(BadInput.exit_code)


def _show_rules(cli: Cli, filters: Filters) -> None:
    rows = [
        {"rule": rule.id, "on": rule.id in filters.on, "what": rule.what, "limits": rule.limits}
        for rule in filters_table().rule
    ]
    shown = [
        (row["rule"], "on" if row["on"] else "off", f"{row['what']}{_limits(row['limits'])}")  # type: ignore[arg-type]
        for row in rows
    ]
    cli.emit(rows, lambda: table(shown, ("rule", "", "leaves a commit out when")))


def _limits(limits: dict[str, int]) -> str:
    said = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in limits.items())
    return f" ({said})" if said else ""


def _total(mined: list[Mined]) -> Funnel:
    total = Funnel()
    for one in mined:
        total.add(one.funnel)
    return total


def _as_data(mined: list[Mined], failures: list[Failure], examples: Refreshed | None) -> dict[str, object]:
    return {
        "repositories": msgspec.to_builtins(mined),
        "total": msgspec.to_builtins(_total(mined)),
        "failures": msgspec.to_builtins(failures),
        "examples": msgspec.to_builtins(examples),
    }


def _as_text(mined: list[Mined], failures: list[Failure], examples: Refreshed | None, filters: Filters) -> str:
    blocks = []
    for one in mined:
        known = f", licence {one.licence}" if one.licence else ", licence unknown"
        blocks.append(f"{one.where}: {one.commits:,} commits{known}\n{_funnel(one.funnel, one.languages)}")
    if len(mined) > 1:
        languages: dict[str, int] = {}
        for one in mined:
            for name, number in one.languages.items():
                languages[name] = languages.get(name, 0) + number
        blocks.append(f"all together\n{_funnel(_total(mined), languages)}")
    if examples is not None:
        dropped = ", ".join(f"{number} {reason}" for reason, number in sorted(examples.dropped.items()))
        blocks.append(f"{examples.examples:,} examples new or changed{f'; no examples: {dropped}' if dropped else ''}")
    blocks += [f"not read: {one.what} ({one.where})\n  {one.fix}" for one in failures]
    return "\n\n".join(blocks)


def _funnel(funnel: Funnel, languages: dict[str, int]) -> str:
    left = funnel.seen
    rows = [("commits read", "", f"{left:,}")]
    for rule, number in funnel.dropped.items():
        if number:
            left -= number
            rows.append((rule, f"-{number:,}", f"{left:,}"))
    width = max(len(name) for name, _, _ in rows) + 2
    lines = [f"  {name:{width}}{dropped:>9}{rest:>10}".rstrip() for name, dropped, rest in rows]
    said = ", ".join(f"{name} {number:,}" for name, number in sorted(languages.items(), key=lambda row: -row[1]))
    lines.append(f"  kept {funnel.kept:,}: {said}" if said else "  kept none")
    if funnel.unchanged or funnel.changed:
        lines.append(f"  of these {funnel.new:,} new, {funnel.changed:,} changed, {funnel.unchanged:,} known before")
    if funnel.earlier:
        lines.append(f"  {funnel.earlier:,} commits were read by an earlier run (--again reads them again)")
    return "\n".join(lines)
