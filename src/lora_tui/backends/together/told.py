"""Together's events and metrics as events of our journal. Each keeps its number there, so that none comes twice.

Its event types come in two spellings (TRAINING_START, training_start), its levels too: both are read without case.
Sources: GET /v1/fine-tunes/{id}/events and …/metrics; the names are those of together 3.1's types.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lora_tui.jobs import journal
from lora_tui.workspace.keys import hidden

_SILENT = ("job_pending", "training_complete", "job_complete", "tokenized_dataset_upload_complete")
_HOST = "Together"


class Place(msgspec.Struct, frozen=True):
    """Where a job stands in its run: which it is, the model, and the steps that jobs before it have done."""

    job: str
    model: str
    before: int = 0
    epochs: float = 0.0  # of the run in all
    total: int = 0  # steps of the run in all, 0 while unknown


def translated(event: dict[str, Any], number: int, place: Place) -> journal.AnyEvent | None:
    """One of Together's events; None for what a run's states say already. `number`: its place in the list, from 1."""
    kind = str(event.get("type") or "").casefold()
    level = str(event.get("level") or "").casefold().removeprefix("legacy_i")
    message = hidden(" ".join(str(event.get("message") or "").split()))
    step = int(event.get("step") or 0)
    match kind:
        case "training_start":
            return started(place, int(event.get("total_steps") or 0), number)
        case "checkpoint_save":
            path = f"{place.job}:{step}" if step else str(event.get("checkpoint_path") or place.job)
            return journal.Checkpoint(step=place.before + step, path=path, origin=number)
        case "billing_limit":
            advice = "Add credit at api.together.ai under Billing."
            return journal.Warned(message=message or "a limit", advice=advice, code="billing", origin=number)
        case _ if level in ("warning", "error") or kind in ("warning", "job_error", "job_user_error"):
            return journal.Warned(message=f"Together: {message or kind}", step=place.before + step, origin=number)
        case _ if kind in _SILENT or not (message or kind):
            return None
        case _:
            return journal.Note(message=f"Together: {message or kind.replace('_', ' ')}", origin=number)


def started(place: Place, total: int, number: int = 0) -> journal.Started:
    """The training has begun there, with `total` steps of its own."""
    return journal.Started(
        pid=os.getpid(),
        host=_HOST,
        device=place.model,
        total_steps=place.before + total if total else 0,
        resumed_from=place.before or None,
        origin=number,
    )


def measured(
    rows: Sequence[dict[str, Any]], after: int, evaluated: int, place: Place, seconds: float
) -> Iterator[journal.Metrics | journal.Evaluation]:
    """The metrics with a step after `after`, the evaluations after `evaluated`; both count the run's steps.

    seconds: since the rows before these were looked at; 0 where nobody knows.
    """
    fresh = [row for row in rows if "train/loss" in row and _step(row, place) > after]
    each = seconds / len(fresh) if fresh else 0.0
    for row in sorted(rows, key=lambda row: _step(row, place)):
        step = _step(row, place)
        if "train/loss" in row and step > after:
            after = step
            yield journal.Metrics(
                step=step,
                epoch=_epoch(step, row, place),
                loss=float(row["train/loss"]),
                learning_rate=float(row.get("train/learning_rate") or 0.0),
                grad_norm=_finite(row.get("train/grad_norm")),
                step_seconds=each,
                origin=step - place.before,
            )
        if row.get("eval/loss") is not None and step > evaluated:
            evaluated = step
            yield journal.Evaluation(
                step=step,
                epoch=_epoch(step, row, place),
                eval_loss=float(row["eval/loss"]),
                origin=step - place.before,
            )


def _step(row: dict[str, Any], place: Place) -> int:
    return place.before + int(row.get("train/global_step") or row.get("eval/global_step") or 0)


def _epoch(step: int, row: dict[str, Any], place: Place) -> float:
    if place.total:
        return step / place.total * place.epochs
    return float(row.get("train/epoch") or 0.0)


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
