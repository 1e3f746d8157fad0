"""Rows as token ids and labels: the same for training, for the audit and for looking at a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import msgspec

from lora_tui.jobs.audit import Cut, LeftOut, Reason, Where
from lora_tui.worker.mask import IGNORED as IGNORED
from lora_tui.worker.mask import Span, conversation, labels, places, trained
from lora_tui.worker.rows import Row
from lora_tui.worker.template import NotRendered, NotText, Template
from lora_tui.worker.token_edges import TokenEdges, token_edges
from lora_tui.worker.windows import encode, windows
from lora_tui.workspace.errors import BadInput

_CHUNK = 128  # rows; bounds memory, and is enough for the tokenizer's threads


class Tokens(msgspec.Struct, frozen=True):
    """A row, or a part of it, as the model sees it; `labels` equals `input_ids` where there is loss, else IGNORED."""

    id: str
    input_ids: list[int]
    labels: list[int]
    part: int = 1
    parts: int = 1
    at: Where | Literal[""] = ""  # the deepest place the row had to be split at
    whole: int = 0  # tokens of the whole row

    @property
    def loss_tokens(self) -> int:
        """How many tokens carry loss."""
        return len(self.labels) - self.labels.count(IGNORED)


def tokenize(tokenizer: Any, rows: Iterable[Row], split: str, max_length: int) -> Iterator[Tokens | LeftOut]:
    """Rows as tokens with labels, in their order; what is not trained on comes as LeftOut. No turn is ever cut."""
    template = Template(tokenizer)
    edges = token_edges(tokenizer.backend_tokenizer)
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield from _chunk(template, edges, chunk, split, max_length)


def cut(tokens: Tokens, split: str) -> Cut | None:
    """What to tell of a row that was split, at its first part that is there."""
    if tokens.parts == 1 or not tokens.at:
        return None
    return Cut(id=tokens.id, split=split, tokens=tokens.whole, parts=tokens.parts, at=tokens.at)


def _chunk(
    template: Template, edges: TokenEdges | None, rows: list[Row], split: str, max_length: int
) -> Iterator[Tokens | LeftOut]:
    rendered = [_rendered(template, row) for row in rows]
    encoded = iter(_encoded(template, edges, [item for item in rendered if item is not None]))
    for row, item in zip(rows, rendered, strict=True):
        ids, marks = next(encoded) if item is not None else ([], [])
        if item is None or len(ids) > max_length:
            yield from _parts(template, row, split, max_length)
        else:
            yield _checked(Tokens(row.id, ids, marks, whole=len(ids)), split)


def _encoded(
    template: Template, edges: TokenEdges | None, texts: list[tuple[str, list[Span]]]
) -> Iterator[tuple[list[int], list[int]]]:
    """(ids, labels) of texts with their trained spans."""
    if edges is None:
        for encoding, (_, spans) in zip(encode(template, [text for text, _ in texts]), texts, strict=True):
            yield encoding.ids, labels(encoding.ids, encoding.offsets, spans)
        return
    for ids, (text, spans) in zip(edges.encode([text for text, _ in texts]), texts, strict=True):
        marks = edges.labels(text, ids, spans)
        if marks is None:
            (encoding,) = encode(template, [text])
            ids, marks = encoding.ids, labels(encoding.ids, encoding.offsets, spans)
        yield ids, marks


def _rendered(template: Template, row: Row) -> tuple[str, list[Span]] | None:
    """The row as one text with all its trained turns; None where it takes more than that."""
    try:
        talk = conversation(template, row)
        turns = trained(row)
        count = len(talk.messages)
        found = places(talk, count, turns)
    except (NotText, NotRendered):
        return None
    if not turns or len(found) != len(turns):
        return None
    return talk.text(count), [found[turn] for turn in turns]


def _parts(template: Template, row: Row, split: str, max_length: int) -> Iterator[Tokens | LeftOut]:
    for item in windows(template, row, max_length, split):
        if isinstance(item, LeftOut):
            yield item
        else:
            tokens = Tokens(row.id, item.input_ids, item.labels, item.part, item.parts, item.at, item.whole)
            yield _checked(tokens, split)


def _checked(tokens: Tokens, split: str) -> Tokens | LeftOut:
    marked = tokens.loss_tokens
    if 0 < marked < len(tokens.labels):
        return tokens
    reason: Reason = "all_loss" if marked else "no_loss"
    part = tokens.part if tokens.parts > 1 else 0
    return LeftOut(id=tokens.id, split=split, reason=reason, tokens=len(tokens.input_ids), part=part)


def check_trainable(kept: int, left_out: Iterable[LeftOut], dataset: str, max_length: int) -> None:
    """Refuse a dataset of which no row is kept. Raises BadInput with the reasons."""
    if kept:
        return
    counts: dict[str, int] = {}
    words = ""
    for item in left_out:
        counts[item.reason] = counts.get(item.reason, 0) + 1
        words = words or item.about
    if set(counts) == {"all_loss"}:
        raise BadInput(
            "every token of the dataset would be trained on, the questions too",
            where=dataset,
            fix="The base's chat template has no turns; use the instruct variant of the model.",
        )
    told = {
        "too_long": f"longer than max_length {max_length}",
        "no_loss": "without an assistant turn",
        "not_text": "with pictures or files",
        "not_rendered": f"that the base's chat template cannot render ({words})",
        "rewritten": "whose earlier turns the base's chat template changes",
        "all_loss": "in which every token would be trained on",
    }
    reasons = ", ".join(f"{counts[reason]} {text}" for reason, text in told.items() if reason in counts)
    raise BadInput(
        f"no row of the dataset can be trained on: {reasons or 'it is empty'}",
        where=dataset,
        fix="Raise training.max_length, or accept more examples and build the dataset again."
        if counts.keys() <= {"too_long", "no_loss"}
        else "Use a base whose chat template fits these conversations, or leave the rows out.",
    )
