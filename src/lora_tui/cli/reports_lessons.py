"""`lora-tui reports lessons`: what failing prompts say about the examples, and a queue of what to label next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli
from lora_tui.workspace.config import load_config

if TYPE_CHECKING:
    from lora_tui.curation.queues import Queue
    from lora_tui.verify.lessons import Lesson
    from lora_tui.verify.reports.report import Report

_WIDTH = 90  # characters of a request


@click.command("lessons")
@click.argument("report")
@click.option("--prompt", type=NUMBER, help="Of this prompt alone, by its number in the report.")
@click.option("--queue", "queued", is_flag=True, help="Freeze the candidates as a queue for labelling.")
@click.option("--name", default="", help="The queue's name; else lessons-REPORT.")
@click.option("--by", "author", metavar="PERSON", default="", help="Whose queue; else config.toml's author.")
@json_option
@pass_cli
def lessons(cli: Cli, report: str, prompt: int | None, queued: bool, name: str, author: str) -> None:
    """For each prompt the fine-tune failed: the nearest training examples, what they lack, what could be labelled.

    Nothing is decided: --queue puts the unlabelled candidates into a queue for Sessions, each with its reason.
    """
    from lora_tui.verify import lessons as teaching
    from lora_tui.verify.reports.report import find

    found = find(cli.workspace, report)
    taught = teaching.lessons_of(cli.workspace, found, prompt=prompt or 0)
    made = None
    if queued and any(item.candidates for item in taught):
        author = author or load_config(cli.workspace).labeller
        made = teaching.queue(cli.workspace, found, taught, author, name or teaching.queue_name(found, prompt or 0))
    cli.emit(
        {
            "report": found.id,
            "lessons": [{**msgspec.to_builtins(item), "lacks": item.lacks()} for item in taught],
            "queue": msgspec.to_builtins(made),
        },
        lambda: _text(found, taught, made),
    )


def _text(report: Report, lessons: list[Lesson], made: Queue | None) -> str:
    from lora_tui.verify.reports.report import TUNED

    if not lessons:
        judged = sum(outcome.rate(TUNED) is not None for outcome in report.outcomes)
        if not judged:
            return "whether it failed any prompt is not known: no answer of the fine-tune was judged"
        return f"the fine-tune passed every prompt that was judged: {judged} of {len(report.outcomes)}"
    lines = [f"note: {note}" for note in dict.fromkeys(lesson.note for lesson in lessons if lesson.note)]
    for lesson in lessons:
        lines += ["", f"prompt {lesson.number} of {lesson.suite}: {_short(lesson.prompt)}"]
        lines += [f"  missed: {_short(text)}" for text in lesson.expectations_missed]
        lines += [f"  ✗ {text}" for text in lesson.lacks() or ["the examples mention all that it is about"]]
        for near in lesson.near:
            name = f"example {near.example}" if near.example else f"row {near.row[:12]}"
            lines.append(f"  ≈ {name}, {near.share:.0%} of it ({', '.join(near.shared)}): {_short(near.request, 60)}")
        for item in lesson.candidates:
            lines.append(f"  + example {item.example} mentions {', '.join(item.mentions)}: {_short(item.request, 60)}")
        for alike in lesson.too_alike:
            lines.append(f"  ! example {alike.example} is not proposed, it would be training on the test: {alike.how}")
    candidates = {item.example for lesson in lessons for item in lesson.candidates}
    lines.append("")
    if made is not None:
        lines.append(f"queue {made.name}: {made.total:,} to decide about: lora-tui queue {made.name}, or Q in Sessions")
    elif candidates:
        lines.append(f"{len(candidates)} unlabelled candidates; --queue freezes them for labelling")
    elif not any(lesson.lacks() for lesson in lessons):
        lines.append("nothing is missing from what it learned from: more examples like the nearest ones may help")
    else:
        lines.append("no unlabelled example mentions what is missing: take in more with ingest, mine or augment")
    return "\n".join(lines).lstrip("\n")


def _short(text: str, width: int = _WIDTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
