"""`lora-tui label`: decisions from the command line, and what they come to."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from lora_tui.cli import label_reports
from lora_tui.cli.confirm import confirmed
from lora_tui.cli.filters import parse_filter
from lora_tui.cli.groups import DEFAULT, DefaultCommand
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli
from lora_tui.curation import label_exchange, labels, queues
from lora_tui.curation.labels import Action, Preview
from lora_tui.curation.language_rules import rules
from lora_tui.workspace import atomic
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput

_SHOWN = 20

by_option = click.option(
    "--by",
    "author",
    metavar="PERSON",
    default="",
    help="Whose decision it is; else config.toml's author, else the login name.",
)


@click.group("label", cls=DefaultCommand)
def group() -> None:
    """Record a decision about examples, by their IDS or by a filter. Nothing is overwritten; --undo goes back."""


@group.command(DEFAULT, hidden=True)
@click.argument("ids", type=NUMBER, nargs=-1)
@click.option("--accept", is_flag=True, help="Good to learn from.")
@click.option("--reject", is_flag=True, help="Not to be learned from.")
@click.option("--skip", is_flag=True, help="Undecided; leave it.")
@click.option("--flag", is_flag=True, help="Look again later.")
@click.option("--unflag", is_flag=True, help="No need to look again.")
@click.option("--language", metavar="L", help="Say which language it is.")
@click.option("--note", metavar="TEXT", help="Write a note about it; '' removes it.")
@click.option("--tag", "tags", metavar="T", multiple=True, help="Give it this tag (repeatable).")
@click.option("--untag", "untags", metavar="T", multiple=True, help="Take this tag away (repeatable).")
@click.option("--undo", is_flag=True, help="Take back your latest decision, or the latest about IDS.")
@click.option(
    "--all-matching",
    metavar="FILTER",
    help="Instead of IDs: all that pass, as in 'language=rust decision=unlabelled min_confidence=0.8 text=cargo'.",
)
@click.option("--queue", "queue", metavar="NAME", help="Instead of IDs: the next question of your queue.")
@click.option("--dry-run", is_flag=True, help="Only say what --all-matching would decide about.")
@click.option("--yes", is_flag=True, help="Do not ask before a decision about a whole filter.")
@by_option
@click.option("--reason", metavar="TEXT", default="", help="Why.")
@json_option
@pass_cli
def decide(
    cli: Cli,
    /,
    ids: tuple[int, ...],
    language: str | None,
    note: str | None,
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    undo: bool,
    all_matching: str | None,
    queue: str | None,
    dry_run: bool,
    yes: bool,
    author: str,
    reason: str,
    **flags: bool,
) -> None:
    """Record a decision about examples, by their IDS or by a filter. Nothing is overwritten; --undo goes back."""
    config = load_config(cli.workspace)
    author = author or config.labeller
    if language and language not in (known := sorted({*rules().table.language, *config.languages})):
        raise BadInput(f"unknown language {language!r}", fix=f"Known: {', '.join(known)}.")
    said = _said(flags, language, note, tags, untags)
    if undo:
        if said or all_matching or queue:
            raise BadInput("--undo decides nothing else", fix="Give it alone, or with the ids it is about.")
        _undo(cli, author, ids)
        return
    if sum(map(bool, (ids, all_matching, queue))) != 1:
        raise BadInput("say which examples", fix="Give their ids, --all-matching FILTER, or --queue NAME.")
    if not said:
        raise BadInput(
            "say what to decide",
            fix="One of --accept, --reject, --skip, --flag, --unflag, --language L, --note TEXT, --tag T, --untag T.",
        )
    if queue:
        _answer(cli, queue, author, said, reason)
        return
    chosen = list(ids) if ids else _matching(cli, all_matching or "", said, dry_run, yes)
    if dry_run:
        return
    batch = labels.decide_together(cli.workspace, chosen, said, author=author, reason=reason)
    action = next((name for name, _ in said if name in flags), None)
    cli.emit(
        {"ids": chosen, "action": action, "language": language, "said": said, "batch": batch},
        f"{_in_words(said)}: {_examples(len(chosen))}",
    )


@group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--by", "author", metavar="PERSON", default="", help="Only this person's labels.")
@json_option
@pass_cli
def export(cli: Cli, file: str, author: str) -> None:
    """Write every label to FILE, one JSON document a line; '-' is standard output.

    Secrets found in notes and edits stay here.
    """
    if file == "-" and cli.json:
        raise BadInput("--json and '-' exclude each other", fix="The rows are JSON already.")
    number = 0
    with nullcontext(sys.stdout.buffer) if file == "-" else atomic.writing(Path(file).absolute()) as out:
        for row in label_exchange.exported(cli.workspace, author):
            out.write(msgspec.json.encode(row) + b"\n")
            number += 1
        out.flush()
    if file == "-":
        cli.say(f"{number:,} labels written")
    else:
        cli.emit({"file": file, "labels": number}, f"{number:,} labels written to {file}")


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_cli
def import_(cli: Cli, file: Path) -> None:
    """Take in the labels of a FILE that `label export` wrote, with their authors and times. Twice adds nothing."""
    try:
        with file.open("rb") as lines:
            done = label_exchange.import_labels(cli.workspace, lines)
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", where=str(file), fix="Give a file that `label export` wrote."
        ) from error

    def text() -> str:
        lines = [
            f"{done.rows:,} labels read: {done.added:,} new about {_examples(done.examples)}, "
            f"{done.known:,} known already"
        ]
        if done.other_content:
            lines.append(f"{done.other_content:,} were given for a content the example no longer has: history only")
        for problems, what in ((done.unknown, "are about examples that are not here"), (done.wrong, "cannot be read")):
            if problems:
                lines.append(f"{len(problems):,} {what}:")
                lines += [f"  line {problem.line}: {problem.reason}" for problem in problems[:_SHOWN]]
            if len(problems) > _SHOWN:
                lines.append(f"  … and {len(problems) - _SHOWN:,} more (--json lists them all)")
        return "\n".join(lines)

    cli.emit(msgspec.to_builtins(done), text)
    if done.unknown or done.wrong:
        raise click.exceptions.Exit(BadInput.exit_code)


group.add_command(label_reports.agreement)
group.add_command(label_reports.progress)


def _undo(cli: Cli, author: str, ids: tuple[int, ...]) -> None:
    undone = labels.undo(cli.workspace, author, ids)
    if undone is None:
        raise BadInput(
            f"{author} has no decision{' about these' if ids else ''} to take back",
            fix="--by PERSON takes back somebody else's.",
        )
    cli.emit(msgspec.to_builtins(undone), f"took back '{undone.action}' of {_examples(len(undone.ids))}")


def _matching(cli: Cli, words: str, said: list[tuple[str, str | None]], dry_run: bool, yes: bool) -> list[int]:
    """The ids that pass; asks on a terminal. Raises BadInput when nothing passes."""
    filter = parse_filter(words)
    if filter.dropped:
        raise BadInput("what was dropped is no candidate", where=words, fix="Leave `dropped` out.")
    found = labels.preview(cli.workspace, filter)
    if not found.ids:
        raise BadInput("no example passes this filter", where=words, fix="See what there is: lora-tui examples list.")
    question = f"{_in_words(said)}: {_examples(len(found.ids))}"
    if dry_run:
        cli.emit(_as_data(found, said), f"would decide {question}\n{_sample(found)}")
    elif not yes:
        cli.say(_sample(found))
        if not confirmed(f"{question}?", yes):
            raise click.exceptions.Abort
    return list(found.ids)


def _as_data(found: Preview, said: list[tuple[str, str | None]]) -> dict[str, Any]:
    return {
        "dry_run": True,
        "said": said,
        "examples": len(found.ids),
        "decided": found.decided,
        "sample": msgspec.to_builtins(found.sample),
    }


def _sample(found: Preview) -> str:
    decided = f", {found.decided:,} of them decided already" if found.decided else ""
    lines = [f"{_examples(len(found.ids))} pass the filter{decided}, for example:"]
    return "\n".join(lines + [f"  {row.id:>6}  {row.language:<11} {row.request[:70]}" for row in found.sample])


def _answer(cli: Cli, name: str, author: str, said: list[tuple[str, str | None]], reason: str) -> None:
    """Answer the next question of a queue with one decision; say what comes next."""
    queue = queues.open(cli.workspace, name, author)
    position = queues.next_position(cli.workspace, queue)
    if position is None:
        raise BadInput(f"nothing is left in queue {name!r}", fix="Others: lora-tui queue list.")
    (item,) = queues.items(cli.workspace, queue, position, 1)
    batch = queues.decide_together(cli.workspace, queue, position, said, reason=reason)
    queue = queues.open(cli.workspace, name, author)
    following = queues.next_position(cli.workspace, queue, position)
    after = queues.items(cli.workspace, queue, following, 1)[0].example_id if following is not None else None
    cli.emit(
        {
            "ids": [item.example_id],
            "said": said,
            "batch": batch,
            "position": position,
            "left": queue.left,
            "next": after,
        },
        f"{_in_words(said)}: example {item.example_id}; {queue.left:,} left"
        + (f", next is {after}" if after is not None else ""),
    )


def _said(
    flags: dict[str, bool], language: str | None, note: str | None, tags: tuple[str, ...], untags: tuple[str, ...]
) -> list[tuple[str, str | None]]:
    """Everything the options say, as actions with values; the decision first."""
    given = [name for name, is_set in flags.items() if is_set]
    if len(given) > 1:
        raise BadInput(f"--{given[0]} and --{given[1]} exclude each other", fix="Give one of them.")
    both = sorted({*tags} & {*untags})
    if both:
        raise BadInput(f"--tag {both[0]} and --untag {both[0]} exclude each other", fix="Give one of them.")
    said: list[tuple[str, str | None]] = [(cast(Action, name), None) for name in given]
    said += [("language", language)] if language else []
    said += [("note", note)] if note is not None else []
    return said + [("tag", tag) for tag in dict.fromkeys(tags)] + [("untag", tag) for tag in dict.fromkeys(untags)]


def _in_words(said: list[tuple[str, str | None]]) -> str:
    return " and ".join(_one_in_words(action, value) for action, value in said)


def _one_in_words(action: str, value: str | None) -> str:
    if action == "language":
        return value or ""
    if action == "note":
        return "note" if value else "no note"
    return f"{action} {value}" if value else action


def _examples(number: int) -> str:
    return "1 example" if number == 1 else f"{number:,} examples"
