"""What of a dataset is not trained on, or only in parts, said to the person who started the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lora_tui.jobs import journal
from lora_tui.jobs.audit import Cut, LeftOut

NAMED = 20  # rows

_WHY = (
    ("too_long", "longer than max_length {limit}", "Raise training.max_length to train on them."),
    ("no_loss", "with no assistant turn to learn from", "Leave them out of the dataset."),
    ("all_loss", "in which every token would be trained on", "Use the instruct variant of the model."),
    ("not_text", "with pictures or files, which this base cannot read", "Leave them out of the dataset."),
    ("not_rendered", "which the base's chat template refuses", "Use a base whose template can write them."),
    ("rewritten", "whose earlier turns the base's chat template changes", "Use a base whose template only appends."),
)


def warnings_of(left_out: Sequence[LeftOut], limit: int) -> Iterator[journal.Warned]:
    """One warning per reason, with the rows it is about; `limit` is max_length."""
    for reason, why, advice in _WHY:
        rows = [row for row in left_out if row.reason == reason]
        if not rows:
            continue
        words = next((f" ({row.about})" for row in rows if row.about), "")
        what = "rows or parts of rows" if any(row.part for row in rows) else "rows"
        message = f"{len(rows)} {what} left out, {why.format(limit=limit)}{words}: {_named(rows)}"
        yield journal.Warned(message=message, advice=advice)


def cut_warnings(cuts: Sequence[Cut], limit: int) -> Iterator[journal.Warned]:
    """One warning about all rows that are trained on in parts."""
    if cuts:
        named = ", ".join(f"{item.id} ({item.parts} parts, at {item.at}s)" for item in cuts[:NAMED])
        more = f" and {len(cuts) - NAMED} more" if len(cuts) > NAMED else ""
        yield journal.Warned(
            message=f"{len(cuts)} rows are trained on in parts, each with its own context: {named}{more}",
            advice=f"Their turns are whole. Raise training.max_length over {limit} to keep long rows in one piece.",
        )


def _named(rows: Sequence[LeftOut]) -> str:
    told = [f"{row.id}{f' part {row.part}' if row.part else ''} ({row.tokens} tokens)" for row in rows[:NAMED]]
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return ", ".join(told) + more
