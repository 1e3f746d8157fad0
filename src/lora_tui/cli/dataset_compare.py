"""`lora-tui dataset verify` and `diff`: whether a version is what was built, and what two have in common."""

from __future__ import annotations

from itertools import islice

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli, table
from lora_tui.dataset import versions
from lora_tui.dataset.check import Trouble, troubles
from lora_tui.dataset.diff import Change, Compared, Setting, compared
from lora_tui.dataset.differences import Again, in_words
from lora_tui.dataset.model import SPLITS
from lora_tui.dataset.rebuild import made_again

_SHOWN = 20


@click.command("verify", short_help="Check that a version is what was built.")
@click.argument("name", metavar="NAME[@N]")
@click.option(
    "--rebuild", is_flag=True, help="Also make it again from this workspace's examples and compare the bytes."
)
@json_option
@pass_cli
def verify(cli: Cli, /, name: str, rebuild: bool) -> None:
    """Check that a version is what was built: hashes, every line, members and groups.

    Exit code 1 where something is not as it was.
    """
    found = versions.find(cli.workspace, name)
    wrong = list(troubles(found))
    again: Again | None = None
    if rebuild:
        with cli.progress("rows") as progress:
            again = made_again(cli.workspace, found, progress)
    data = {"label": found.label, "ok": not wrong, "troubles": wrong}
    if again is not None:
        data |= {"ok": not wrong and again.identical, "rebuilt": msgspec.to_builtins(again)}
    cli.emit(data, lambda: _checked(found.label, wrong, again))
    if not data["ok"]:
        click.get_current_context().exit(1)


@click.command("diff", short_help="Show what changed from one version to another.")
@click.argument("before", metavar="A[@N]")
@click.argument("after", metavar="B[@N]")
@json_option
@pass_cli
def diff(cli: Cli, before: str, after: str) -> None:
    """Show what changed from version A to version B: rows and settings."""
    one, other = versions.find(cli.workspace, before), versions.find(cli.workspace, after)
    with compared(one, other) as (sums, changes):
        if cli.json:
            cli.emit({**msgspec.to_builtins(sums), "changes": list(changes)})
        else:
            cli.emit(None, _compared(sums, list(islice(changes, _SHOWN + 1))))


def _checked(label: str, wrong: list[Trouble], again: Again | None) -> str:
    lines = [f"{label} is what was built" if not wrong else f"{label} IS NOT WHAT WAS BUILT"]
    lines += [f"  {item.file}{f':{item.line}' if item.line else ''}: {item.what}" for item in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        lines.append(f"  and {len(wrong) - _SHOWN:,} more (--json lists all)")
    if again is not None and again.identical:
        lines.append("made again from this workspace's examples: the same bytes")
    elif again is not None:
        lines.append(f"cannot be made again from this workspace: {in_words(again)}")
    return "\n".join(lines)


def _compared(sums: Compared, changes: list[Change]) -> str:
    if sums.identical:
        head = f"{sums.before} and {sums.after} have the same bytes"
    else:
        head = f"{sums.before} -> {sums.after}: {sums.same:,} rows the same, {sums.added:,} added, "
        head += f"{sums.removed:,} removed, {sums.changed:,} changed, {sums.moved:,} in another split"
    counts = [(name, *sums.rows[name]) for name in SPLITS] + [(name or "-", *of) for name, of in sums.languages.items()]
    told = [(name, before, after, f"{after - before:+,}" if after != before else "") for name, before, after in counts]
    lines = [head, "", table(told, ("rows", sums.before, sums.after, "change"))]
    if sums.settings:
        lines += ["", *(f"{item.name}: {_value(item, 'before')} -> {_value(item, 'after')}" for item in sums.settings)]
    if changes:
        rows = [
            (item.what, item.id[:12], item.language, item.split_before or "-", item.split or "-")
            for item in changes[:_SHOWN]
        ]
        lines += ["", table(rows, ("what", "row", "language", "was in", "is in"))]
        if len(changes) > _SHOWN:
            lines.append("… (--json lists all)")
    return "\n".join(lines)


def _value(item: Setting, side: str) -> str:
    value = getattr(item, side)
    if value in (None, "", [], {}):
        return "nothing"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
