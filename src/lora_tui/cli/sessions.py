"""`lora-tui sessions`: the recorded conversations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import NUMBER, Cli, ago, json_option, pass_cli, safe, table
from lora_tui.curation.redact import Redactor, redact_text
from lora_tui.curation.redact_rules import switched_off
from lora_tui.sources import read
from lora_tui.sources.model import Message, as_sent, text_of

_SHOWN_CHARACTERS = 2_000


@click.group("sessions", cls=Group)
def group() -> None:
    """The conversations that were read, as your agent sent them to its model."""


@group.command("list")
@click.option("--source", default="", metavar="S", help="Only from this source.")
@click.option("--text", default="", metavar="WORDS", help="Only with these words in title or directory.")
@click.option("--limit", type=NUMBER, default=200, show_default=True)
@json_option
@pass_cli
def list_(cli: Cli, source: str, text: str, limit: int) -> None:
    """List the sessions, newest first."""
    off = switched_off(cli.workspace)
    rows = [_safe_row(row, off) for row in read.sessions(cli.workspace, source, text, limit)]
    total = read.count(cli.workspace)

    def shown() -> str:
        body = table(
            [(row.native_id, row.messages, row.agent, row.model, ago(row.created), row.title[:60]) for row in rows],
            ("id", "messages", "agent", "model", "age", "title"),
            empty="no session passes" if total else "no sessions yet: lora-tui ingest --all",
        )
        return f"{body}\n{len(rows)} of {total} sessions" if rows else body

    cli.emit({"total": total, "sessions": [_row(row) for row in rows]}, shown)


@group.command("show")
@click.argument("id")
@json_option
@pass_cli
def show(cli: Cli, id: str) -> None:
    """Show one conversation; the beginning of its ID is enough."""
    off = switched_off(cli.workspace)
    row = _safe_row(read.session(cli.workspace, id), off)
    children = [child.native_id for child in read.children(cli.workspace, row)]
    known = Redactor(off)
    for message in read.messages(cli.workspace, row.id):  # a later one may tell what stands alone in an earlier one
        known.message(message)
    messages = map(Redactor(off, known.repeated).message, read.messages(cli.workspace, row.id))
    if cli.json:
        sent = [_with_marks(message) for message in messages]
        cli.emit({**_row(row), "children": children, "messages": sent})
        return
    click.echo(safe(_heading(row, children)))
    for block in map(_spoken, messages):
        click.echo(safe(block))


def _safe_row(row: read.SessionRow, off: frozenset[str]) -> read.SessionRow:
    """The row without secrets and personal data in what the source wrote."""
    title, directory = (redact_text(text, off)[0] for text in (row.title, row.directory))
    return msgspec.structs.replace(row, title=title, directory=directory)


def _row(row: read.SessionRow) -> dict[str, Any]:
    return {
        "id": row.native_id,
        "source": row.source,
        "title": row.title,
        "agent": row.agent or None,
        "parent": row.parent or None,
        "model": row.model or None,
        "directory": row.directory,
        "version": row.version,
        "created": row.created,
        "updated": row.updated,
        "origin": row.origin,
        "message_count": row.messages,
    }


def _with_marks(message: Message) -> dict[str, Any]:
    """The message as it was sent, and beside it what the source knows of it where that matters."""
    about = message.about
    marks: dict[str, Any] = {"reverted": True} if about.reverted else {}
    for name in ("origin", "error", "child", "interrupted", "cleared"):
        if value := getattr(about, name):
            marks[name] = value
    if about.exit is not None:
        marks["exit"] = about.exit
    if about.synthetic:
        marks["synthetic"] = list(about.synthetic)
    return {**as_sent(message), **marks}


def _heading(row: read.SessionRow, children: Iterable[str]) -> str:
    lines = [f"{row.title}", f"{row.native_id} · {row.agent or 'agent unknown'} · {row.model or 'model unknown'}"]
    lines.append(f"{row.directory} · {row.messages} messages · {ago(row.created)} ago")
    if row.parent:
        lines.append(f"delegated by {row.parent}")
    lines += [f"delegated to {child}" for child in children]
    return "\n".join(lines)


def _spoken(message: Message) -> str:
    """One message for people: who, what is special about it, the beginning of what was said."""
    about = message.about
    notes = [name for name in ("reverted", "interrupted", "cleared") if getattr(about, name)]
    notes += [note for note in (about.origin, about.error) if note]
    notes += [f"exit {about.exit}"] if about.exit is not None else []
    notes += [f"→ {about.child}"] if about.child else []
    heading = f"── {message.role}"
    lines = ["", f"{heading} ({', '.join(notes)})" if notes else heading]
    if message.reasoning_content:
        lines.append(_clipped(f"(thinks) {message.reasoning_content}"))
    if text := text_of(message):
        lines.append(_clipped(text))
    lines += [f"{call.function.name} {_clipped(call.function.arguments)}" for call in message.tool_calls]
    if isinstance(message.content, list):
        lines += [f"[{msgspec.to_builtins(part)['type']}]" for part in message.content if not hasattr(part, "text")]
    return "\n".join(lines)


def _clipped(text: str) -> str:
    rest = len(text) - _SHOWN_CHARACTERS
    return text if rest <= 0 else f"{text[:_SHOWN_CHARACTERS]}\n… {rest:,} characters more"
