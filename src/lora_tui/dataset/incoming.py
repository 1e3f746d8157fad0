"""Rows of foreign files: found, read one at a time, and without secrets before anything keeps them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.curation.redact import Redactor, redacted
from lora_tui.dataset.formats.format import Format
from lora_tui.dataset.formats.line import Read, read, row_id
from lora_tui.dataset.model import TOOLS_FILE, Row, RowMessage
from lora_tui.dataset.stored import toolsets
from lora_tui.sources.chat import table
from lora_tui.sources.chat.conversation import NotAChat
from lora_tui.sources.chat.rows import Row as Line
from lora_tui.sources.chat.rows import rows as lines
from lora_tui.sources.model import About, Message
from lora_tui.workspace.errors import BadInput, SourceError

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"} | {
    "dev": "validation",
    "eval": "validation",
    "test": "test",
}
_NAMED = re.compile(rf"({'|'.join(_SPLITS)})(?:[-_.].*)?")
_ROLES = ("system", "user", "assistant", "tool")
_TOOLSETS = 32  # remembered without secrets

_encoder = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True):
    """A line of a file that is no row, and why."""

    where: str  # file:line
    reason: str


class Incoming(msgspec.Struct, frozen=True):
    """A row that may be kept."""

    where: str
    row: Row
    format: str
    edited: bool
    findings: dict[str, int]  # redaction rule -> how often it applied


def files(path: Path) -> list[tuple[str, Path]]:
    """The files of a path with the split each is of, '' where it is not told; test first. Raises BadInput."""
    if not path.exists():
        raise BadInput("there is no such file or folder", where=str(path), fix="Give what is to be imported.")
    if not path.is_dir() or table.is_table(path):
        return [("", path)]
    there = sorted(file for file in path.iterdir() if file.is_file() and file.name.endswith(_SUFFIXES))
    found = [(_SPLITS[name[1]], file) for file in there if (name := _NAMED.fullmatch(_stem(file)))]
    if not found:
        names = ", ".join(file.name for file in there[:4]) or "none"
        raise BadInput(
            f"no file in this folder is called train, validation or test; the chat files in it: {names}",
            where=str(path),
            fix="Give one file, or name them train.jsonl, validation.jsonl and test.jsonl.",
        )
    order = ("test", "validation", "train")  # of a row that stands twice, the one that is held out is kept
    return sorted(found, key=lambda item: (order.index(item[0]), item[1].name))


def _stem(file: Path) -> str:
    return next(file.name.removesuffix(suffix) for suffix in _SUFFIXES if file.name.endswith(suffix))


class Reader:
    """Reads files of rows; `toolsets` holds the tools that rows then name instead of carrying them."""

    def __init__(self, off: frozenset[str], format: Format | None) -> None:
        self.toolsets: dict[str, list[dict[str, Any]]] = {}
        self._off = off
        self._format = format
        self._safe_tools: dict[bytes, list[dict[str, Any]]] = {}

    def rows(self, path: Path) -> Iterator[Incoming | Problem]:
        """Every row of a file. Memory: one row. Raises SourceError when the file cannot be read."""
        beside = toolsets(path.parent / TOOLS_FILE) if path.parent.is_dir() else {}
        try:
            for line in table.rows(path) if table.is_table(path) else lines(path):
                where = f"{path.name}:{line.number}"
                try:
                    yield self._row(where, read(_decoded(line), self._format), beside)
                except NotAChat as error:
                    yield Problem(where, str(error))
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror or error}", where=str(path)) from error

    def _row(self, where: str, found: Read, beside: dict[str, list[dict[str, Any]]]) -> Incoming:
        row = found.row
        if any(message.role not in _ROLES or message.weight not in (0, 1) for message in row.messages):
            raise NotAChat("a message of an unknown role, or whose weight is neither 0 nor 1")
        if row.toolset and not row.tools:
            if row.toolset not in beside:
                raise NotAChat(f"its tools {row.toolset!r} are not in {TOOLS_FILE} beside it")
            row = msgspec.structs.replace(row, tools=beside[row.toolset])
        redactor = Redactor(self._off)
        row = self._known(self._safe(row, redactor))
        return Incoming(where, row, found.format, found.edited, dict(redactor.findings))

    def _safe(self, row: Row, redactor: Redactor) -> Row:
        """The row without secrets. Raises NotAChat for one that may not be kept at all."""
        safe = redacted([_message(message) for message in row.messages], self._off)
        if safe.blocked:
            raise NotAChat(f"it holds a {safe.blocked}")
        redactor.findings.update(safe.findings)
        changed: dict[str, Any] = {
            name: text
            for name in ("language", "source", "session", "model", "key", "repository", "licence", "toolset")
            if (text := redactor.text(getattr(row, name))) != getattr(row, name)
        }
        if safe.findings:
            changed["messages"] = [
                msgspec.structs.replace(
                    message,
                    content=new.content or "",
                    reasoning_content=new.reasoning_content,
                    tool_calls=new.tool_calls,
                )
                for message, new in zip(row.messages, safe.messages, strict=True)
            ]
            changed["id"] = row_id(changed["messages"])
        elif redactor.text(row.id) != row.id:
            changed["id"] = row_id(row.messages)
        if row.tools:
            changed["tools"] = self._without_secrets(row.tools, redactor)
        return msgspec.structs.replace(row, **changed) if changed else row

    def _without_secrets(self, tools: list[dict[str, Any]], redactor: Redactor) -> list[dict[str, Any]]:
        """Tools are long, and mostly the same ones: those seen lately are not looked through again."""
        encoded = _encoder.encode(tools)
        if encoded not in self._safe_tools:
            if len(self._safe_tools) >= _TOOLSETS:
                self._safe_tools.clear()
            self._safe_tools[encoded] = _each(tools, redactor)
        return self._safe_tools[encoded]

    def _known(self, row: Row) -> Row:
        """The row naming its tools where its toolset holds just these; else they stay in the row."""
        if not row.toolset:
            return row
        known = self.toolsets.setdefault(row.toolset, row.tools)
        if known is row.tools or _encoder.encode(known) == _encoder.encode(row.tools):
            return msgspec.structs.replace(row, tools=[])
        return msgspec.structs.replace(row, toolset="")


def counted(found: Counter[str]) -> dict[str, int]:
    """Counts as a manifest has them."""
    return dict(sorted(found.items()))


def _decoded(line: Line) -> object:
    """A row's JSON. Raises NotAChat."""
    if line.problem:
        raise NotAChat(line.problem)
    try:
        return msgspec.json.decode(line.data)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotAChat(f"not JSON: {error}") from None
    except RecursionError:
        raise NotAChat("nested too deeply") from None


def _message(message: RowMessage) -> Message:
    return Message(
        role=message.role,  # type: ignore[arg-type] # looked at before
        content=message.content,
        reasoning_content=message.reasoning_content,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
        about=About(),
    )


def _each(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor.text(value)
        case list():
            return [_each(item, redactor) for item in value]
        case dict():
            return {redactor.text(key): _each(item, redactor) for key, item in value.items()}
        case _:
            return value
