"""`lora-tui dataset export | import | check`: versions as files of other formats, and back."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.dataset import exporting, importing, together_rules, versions
from lora_tui.dataset.formats.formats import FORMATS
from lora_tui.dataset.model import SPLITS
from lora_tui.dataset.shares import shares as parsed_shares
from lora_tui.workspace.errors import BadInput

_SHOWN = 20
_format = click.Choice(list(FORMATS))
_for = click.option("--for", "service", type=click.Choice(["together"]), help="Whose rules it must keep.")


@click.command("export", short_help="Write a version as files of another format.")
@click.argument("name", metavar="NAME[@N]")
@click.option("--format", "format", type=_format, default="messages", show_default=True, help="How rows are written.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A folder; with --split a file.")
@click.option("--split", type=click.Choice(SPLITS), help="Only this one.")
@_for
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
@pass_cli
def export(
    cli: Cli, /, name: str, format: str, output: Path, split: str | None, service: str | None, force: bool
) -> None:
    """Write one version as files of another format, a file per split.

    What the format cannot say stands beside it under the key lora_tui, which other programs pass over: `dataset import`
    brings every row back as it was. With --for together only what Together takes is written.
    """
    found = versions.find(cli.workspace, name)
    with cli.progress("rows") as progress:
        made = exporting.export(
            found,
            format,
            output,
            split=split or "",
            for_together=service == "together",
            force=force,
            progress=progress,
        )
    cli.emit({"dataset": found.label, **msgspec.to_builtins(made)}, lambda: _exported(made))


@click.command("import", short_help="Make a version of a file or folder.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", default="", help="Of the dataset; else the file's own name.")
@click.option("--format", "format", type=_format, default=None, help="What it must be; else told by the keys.")
@click.option("--split", "shares", metavar="P/P/P", help="Split one file in percent, as in 80/10/10. [all in train]")
@click.option("--seed", default=42, show_default=True, help="Of what is drawn by chance.")
@json_option
@pass_cli
def import_(cli: Cli, /, path: Path, name: str, format: str | None, shares: str | None, seed: int) -> None:
    """Make a new version of the file PATH, or of a folder with a file for each split.

    Reads what `dataset export` wrote, and ShareGPT, messages, ChatML, Alpaca and prompt/completion of other programs as
    JSONL, a JSON array or Parquet. Secrets are replaced. Lines that are no rows are listed.
    """
    with cli.progress("rows") as progress:
        made = importing.import_(
            cli.workspace,
            path,
            name,
            format=format or "",
            shares=parsed_shares(shares) if shares else None,
            seed=seed,
            progress=progress,
        )
    manifest = made.dataset.manifest
    data = {
        "label": made.dataset.label,
        "folder": str(made.dataset.folder),
        "rows": manifest.rows,
        "formats": made.formats,
        "edited": made.edited,
        "bad": made.bad,
        "problems": msgspec.to_builtins(made.problems),
        "findings": manifest.findings,
        "notes": list(manifest.notes),
    }
    cli.emit(data, lambda: _imported(made))


@click.command("check", short_help="Say whether a file keeps a service's rules.")
@click.argument("path", type=click.Path(path_type=Path))
@_for
@json_option
@pass_cli
@click.pass_context
def check(context: click.Context, /, cli: Cli, path: Path, service: str | None) -> int:
    """Say whether the file PATH keeps a service's rules, before it is uploaded. Exit code 1 when it does not."""
    if service is None:
        raise BadInput("whose rules?", fix="Say it: --for together.")
    shown: list[together_rules.Problem] = []
    number = 0
    for problem in together_rules.check(path):
        number += 1
        if cli.json or number <= _SHOWN:
            shown.append(problem)
    lines = [f"{path}:{item.line}: {item.message}" if item.line else f"{path}: {item.message}" for item in shown]
    if number > len(shown):
        lines.append(f"and {number - len(shown)} more")
    cli.emit(
        {"path": str(path), "for": service, "problems": msgspec.to_builtins(shown)},
        lambda: "\n".join(lines) or f"{path}: Together takes it",
    )
    return 1 if number else 0


def _exported(made: exporting.Export) -> str:
    said = [f"{item.path}: {item.rows} rows, {_size(item.bytes)}" for item in made.files]
    said += [f"{number} rows: {what}" for what, number in sorted(made.repaired.items())]
    said += [f"left out {item.split}:{item.line}: {item.reason}" for item in made.left_out[:_SHOWN]]
    if len(made.left_out) > _SHOWN:
        said.append(f"and {len(made.left_out) - _SHOWN} more left out")
    return "\n".join(said)


def _imported(made: importing.Imported) -> str:
    manifest = made.dataset.manifest
    said = [f"{made.dataset.label}: " + ", ".join(f"{manifest.rows[name]} {name}" for name in SPLITS)]
    said += [f"  read as  {', '.join(f'{number} {name}' for name, number in made.formats.items())}"]
    if manifest.findings:
        replaced = ", ".join(f"{number} {name}" for name, number in manifest.findings.items())
        said.append(f"  redacted {replaced}")
    said += [f"  {note}" for note in manifest.notes]
    said += [f"  {item.where}: {item.reason}" for item in made.problems[:_SHOWN]]
    if made.bad > _SHOWN:
        said.append(f"  and {made.bad - _SHOWN} more: lora-tui dataset rejected {made.dataset.label}")
    return "\n".join(said)


def _size(number: int) -> str:
    return f"{number / 1_000_000:.1f} MB" if number >= 1_000_000 else f"{number / 1000:.1f} kB"
