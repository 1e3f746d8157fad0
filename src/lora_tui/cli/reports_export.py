"""`lora-tui reports export`: a report in the shape that another program, or a person, reads."""

from __future__ import annotations

from pathlib import Path

import click

from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports import junit, report
from lora_tui.verify.reports import markdown as report_markdown
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

_WRITERS = {
    "markdown": report_markdown.markdown,
    "junit": junit.xml,
    "answers": report_files.answers,
    "json": report_files.as_json,
}


@click.command("export")
@click.argument("id")
@click.option("--markdown", "shapes", flag_value="markdown", multiple=True, help="For people.")
@click.option("--junit", "shapes", flag_value="junit", multiple=True, help="JUnit XML, for CI.")
@click.option("--answers", "shapes", flag_value="answers", multiple=True, help="A line of JSON for each answer.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; else it is printed."
)
@json_option
@pass_cli
def export(cli: Cli, id: str, shapes: tuple[str, ...], output: Path | None) -> None:
    """Print a report (ID, a beginning of one, or `latest`), or write it into a file.

    It is Markdown, or what one of the options says; --json is all of it.
    """
    wanted = [*shapes, *(["json"] if cli.json else [])]
    if len(wanted) > 1:
        raise BadInput("a report is exported in one shape at a time", fix="Leave all but one of them out.")
    text = _WRITERS[wanted[0] if wanted else "markdown"](report.find(cli.workspace, id))
    if output is None:
        click.echo(text.rstrip("\n"))
    else:
        atomic.write_text(output, text)
        cli.say(f"written: {output}")
