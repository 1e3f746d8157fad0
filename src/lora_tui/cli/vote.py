"""`lora-tui vote`: blind A/B in a plain terminal, one key a vote."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from lora_tui.cli.label import by_option
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli, safe
from lora_tui.cli.vote_text import asked, in_words
from lora_tui.verify import votes
from lora_tui.verify.reports import report as reports
from lora_tui.verify.reports.report import Report
from lora_tui.verify.votes import Choice, Note, Pair
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput

CHOICES: dict[str, Choice] = {"1": "first", "2": "second", "=": "equal", "0": "bad"}
_SAID: dict[Choice, str] = {"first": "the first", "second": "the second", "equal": "equal", "bad": "both bad"}
_KEYS = "1 first better · 2 second better · = as good · 0 both bad · u undo · s skip · q quit"


@click.command("vote")
@click.argument("report")
@click.option("--prompt", type=NUMBER, help="Only this prompt, by its number in the report; also if voted on before.")
@click.option("--note", "text", metavar="TEXT", help="Write a note on --prompt instead; '' removes it.")
@click.option("--show", is_flag=True, help="Ask nothing; say who was who, and what all votes come to.")
@by_option
@json_option
@pass_cli
def command(cli: Cli, report: str, prompt: int | None, text: str | None, show: bool, author: str) -> None:
    """Say which of two answers of a REPORT is better, without knowing whose they are.

    Every prompt once, in an order of your own, the two sides shuffled. Keys: 1 the first is better, 2 the second,
    = as good, 0 both bad, u take the last back, s skip, q quit. Without a terminal a line is a key. Who was who, and
    the sign test, are said when you have voted on all; --show says it before.
    """
    found = reports.find(cli.workspace, report)
    voter = author or load_config(cli.workspace).labeller
    if prompt is not None and prompt > len(found.outcomes):
        raise BadInput(f"there is no prompt {prompt}", where=found.id, fix=f"It has {len(found.outcomes)}.")
    if text is not None:
        _note(cli, found, prompt, text, voter)
        return
    if not show:
        left = _vote(cli, found, prompt, voter)
        if left:
            said = f"{left} left; who was who: lora-tui vote {found.id} --show"
            cli.emit({"report": found.id, "left": left}, said)
            return
    _emit(cli, found, prompt)


def _vote(cli: Cli, report: Report, prompt: int | None, voter: str) -> int:
    """Ask until nothing is left, or a person quits; how many pairs are left then."""
    every = votes.pairs(report, voter)
    if prompt is None:
        waiting = votes.open_pairs(every, votes.votes(cli.workspace, report.id), voter)
    else:
        waiting = [pair for pair in every if pair.prompt == prompt - 1]
        if not waiting:
            raise BadInput("its answers are alike, or could not be had: there is nothing to vote on", where=report.id)
    total, skipped, keys = len(every), 0, _keys()
    if not every:
        raise BadInput("no two answers differ: there is nothing to vote on", where=report.id)
    while waiting:
        pair = waiting[0]
        _say(cli, asked(pair, total - len(waiting) - skipped + 1 if prompt is None else 0, total, _KEYS))
        key = next(keys)
        if key == "q":
            break
        if key == "s":
            waiting.pop(0)
            skipped += prompt is None
        elif key == "u":
            _undo(cli, report, voter, every, waiting)
        elif key in CHOICES:
            votes.cast(cli.workspace, report.id, votes.of(waiting.pop(0), CHOICES[key], voter))
            _say(cli, f"→ {_SAID[CHOICES[key]]}")
        else:
            _say(cli, f"not a key: {_KEYS}")
    return len(votes.open_pairs(every, votes.votes(cli.workspace, report.id), voter))


def _undo(cli: Cli, report: Report, voter: str, every: list[Pair], waiting: list[Pair]) -> None:
    taken = votes.take_back(cli.workspace, report.id, voter)
    if taken is None:
        _say(cli, "there is no vote of yours to take back")
        return
    again = [pair for pair in every if (pair.prompt, pair.sides) == (taken.prompt, taken.sides)]
    waiting[:] = again + [pair for pair in waiting if pair not in again]
    _say(cli, "taken back")


def _note(cli: Cli, report: Report, prompt: int | None, text: str, author: str) -> None:
    if prompt is None:
        raise BadInput("say which prompt the note is about", fix="Give --prompt N.")
    made = Note(prompt - 1, text, author)
    votes.note(cli.workspace, report.id, made)
    cli.emit({"report": report.id, "prompt": prompt, "text": text, "author": author}, "noted" if text else "removed")


def _emit(cli: Cli, report: Report, prompt: int | None) -> None:
    held = votes.votes(cli.workspace, report.id)
    counted = votes.tally(report, held)
    listed = [vote for vote in votes.current(report, held) if prompt is None or vote.prompt == prompt - 1]
    notes = votes.notes(cli.workspace, report.id)
    data: dict[str, Any] = {
        "report": report.id,
        "verdict": counted.test.verdict,
        "tally": msgspec.to_builtins(counted),
        "votes": msgspec.to_builtins(listed),
        "notes": msgspec.to_builtins(notes),
    }
    cli.emit(data, lambda: in_words(report, listed, counted, notes))


def _say(cli: Cli, text: str) -> None:
    """To whoever votes: beside the one document on stdout there is room on stderr alone."""
    click.echo(safe(text), err=cli.json)


def _keys() -> Iterator[str]:
    """The keys as they are pressed, or the lines of a standard input that is no terminal; its end quits."""
    read: Callable[[], str] = click.getchar if sys.stdin.isatty() else _line
    while True:
        key = read()
        if key:
            yield key[:1]


def _line() -> str:
    line = sys.stdin.readline()
    return line.strip() if line else "q"
