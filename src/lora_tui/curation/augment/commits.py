"""Mined commits as candidates: the change stays, the request is written anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.augment.candidate import Candidate, Placed, Shown, Written
from lora_tui.curation.augment.candidates import LONG, SECRET, SHORT
from lora_tui.curation.augment.table import Kind, table
from lora_tui.curation.filters import Filter
from lora_tui.curation.reading import example
from lora_tui.sources.code.names import outside_names
from lora_tui.sources.code.tokens import tokens
from lora_tui.sources.model import text_of
from lora_tui.workspace.layout import Workspace

UNCLEAR = "the commit's subject says neither fix nor refactor"
ACCEPTED = "the commit is accepted as it is"

_PAGE = 500


class _Arguments(msgspec.Struct, frozen=True):
    filePath: str = ""
    oldString: str = ""
    newString: str = ""
    content: str = ""
    offset: int = 0


_arguments = msgspec.json.Decoder(_Arguments)


def changes(workspace: Workspace, language: str, kinds: Iterable[Kind]) -> Iterator[Candidate | str]:
    """Every mined commit of this language: as a candidate, or as the reason to leave it out."""
    wanted = set(kinds) & {"fix", "refactor"}
    if not wanted:
        return
    found = examples.ids(workspace, Filter(sources=("git",), languages=(language,)))
    for start in range(0, len(found), _PAGE):
        for row in examples.rows(workspace, found[start : start + _PAGE]):
            kind = table().commits.kind(row.title)
            if kind is None:
                yield UNCLEAR
            elif kind in wanted:
                yield ACCEPTED if row.decision == "accept" else _candidate(workspace, row, kind, language)


def _candidate(workspace: Workspace, row: examples.ExampleRow, kind: Kind, language: str) -> Candidate | str:
    found = example(workspace, row.id)
    if found.findings:
        return SECRET
    outputs = {message.tool_call_id: text_of(message) for message in found.messages if message.role == "tool"}
    shown: list[Shown] = []
    written: list[Written] = []
    for call in (call for message in found.messages for call in message.tool_calls):
        given = _arguments.decode(call.function.arguments)
        if call.function.name == "read":
            shown.append(Shown(given.filePath, outputs.get(call.id, ""), given.offset))
        else:
            written.append(Written(given.filePath, given.newString or given.content, given.oldString))
    before, code = "\n".join(one.old for one in written), "\n".join(one.new for one in written)
    fresh = set(code.splitlines()) - set(before.splitlines())
    limits = table().limits
    if not any(line.strip() for line in fresh) or not before.strip():
        return SHORT
    if len(code.splitlines()) > limits.lines_most:
        return LONG
    changed = "\n".join(line for line in code.splitlines() if line in fresh)
    path = written[0].path
    fresh_names = outside_names(code.encode(), language, path) - outside_names(before.encode(), language, path)
    return Candidate(
        kind=kind,
        language=language,
        directory=row.directory,
        path=path,
        licence=row.licence,
        name="",
        what="change",
        parent="",
        signature="",
        doc="",
        subject=row.title,
        before=before,
        code=code,
        body=tuple(tokens(changed.encode(), language, path)),
        names=frozenset(name for name in fresh_names if not table().is_given(language, name)),
        placed=Placed(tuple(shown), tuple(written)),
        example=row.id,
    )
