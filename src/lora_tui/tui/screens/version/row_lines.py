"""A row to read: what is known about it, what the audit found, then its conversation."""

from __future__ import annotations

from collections.abc import Iterator

from lora_tui.dataset.model import Row
from lora_tui.jobs.audit import Audited
from lora_tui.sources.model import Message
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.widgets.conversation_lines import Line, conversation
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.tui.wording import LEFT_OUT

_TONES = {"error": "bad", "warning": "found", "note": "muted"}


def row_lines(row: Row, split: str, audited: Audited | None, width: int, folded: bool) -> Iterator[Line]:
    """The row in the tones of a transcript."""
    facts = (split, row.language, row.source, row.origin, row.model, row.repository, row.session, row.licence)
    known = " · ".join(one_line(fact) for fact in facts if fact)
    yield [(one_line(row.id)[:12], "heading")]
    yield from ([(piece, "muted")] for piece in wrap(known, width))
    yield from ([(text, tone)] for text, tone in _found(row, audited, width))
    if row.toolset or row.tools:
        yield [(f"tools of {row.toolset}" if row.toolset else f"{len(row.tools)} tools", "muted")]
    yield []
    messages = [
        Message(
            role=item.role,  # type: ignore[arg-type]  # a row was made from such messages
            content=item.content,
            reasoning_content=item.reasoning_content,
            tool_calls=item.tool_calls,
            tool_call_id=item.tool_call_id,
        )
        for item in row.messages
    ]
    yield from conversation(messages, width, folded=folded, weights=[item.weight for item in row.messages])


def _found(row: Row, audited: Audited | None, width: int) -> Iterator[tuple[str, str]]:
    if audited is None:
        return
    for finding in audited.findings:
        if row.id in finding.rows:
            for piece in wrap(f"{finding.severity} {finding.code}: {one_line(finding.message)}", width):
                yield piece, _TONES[finding.severity]
    for cut in audited.cut:
        if cut.id == row.id:
            yield f"{cut.tokens:,} tokens: trained on in {cut.parts} parts, split at {cut.at}", "muted"
    for left in audited.left_out:
        if left.id == row.id:
            yield f"left out: {LEFT_OUT[left.reason]}", "found"
