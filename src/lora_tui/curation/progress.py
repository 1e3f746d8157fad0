"""How far labelling is: accepted examples against a profile's targets, today's pace, and when it would be done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.decisions import HOLDS
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

PAUSE = 5 * 60.0  # seconds without a decision that count as a pause, not as work
_FEW = 5  # decisions before a pace says anything


class Pace(msgspec.Struct, frozen=True):
    """One person's decisions since some time. Rates are None while there are too few decisions to tell."""

    decisions: int  # single ones; a decision about a whole filter says nothing about a pace
    accepted: int
    bulk: int  # examples decided about in bulk
    seconds: float  # spent on the single ones, pauses left out

    @property
    def per_hour(self) -> float | None:
        """Decisions in an hour of work."""
        return _rate(self.decisions, self)

    @property
    def accepted_per_hour(self) -> float | None:
        """Accepted examples in an hour of work."""
        return _rate(self.accepted, self)


class LanguageProgress(msgspec.Struct, frozen=True):
    """One language against its target; `target` 0: none is set."""

    language: str
    accepted: int
    target: int
    unlabelled: int
    seconds_left: float | None  # of work, at this pace in this language; None when it cannot be told


class Progress(msgspec.Struct, frozen=True):
    """A profile's examples against its target."""

    accepted: int
    target: int
    unlabelled: int
    seconds_left: float | None
    languages: list[LanguageProgress]
    pace: Pace


def progress(workspace: Workspace, data: Data, *, author: str, now: float | None = None) -> Progress:
    """Count what is accepted for a profile's [data], and work out the rest from the author's pace of today.

    Without languages in `data`, every language there is counts. `now` is the time in seconds, for tests.
    """
    counts = examples.counts(workspace)
    since = midnight(now)
    wanted = data.languages or tuple(sorted(counts.by_language))
    per_language = []
    for language in wanted:
        accepted, target = counts.of("accept", language), data.targets.get(language, 0)
        speed = pace(workspace, author, since, (language,)) if accepted < target else None
        per_language.append(
            LanguageProgress(
                language,
                accepted,
                target,
                counts.of(examples.UNLABELLED, language),
                _seconds_left(target - accepted, speed),
            )
        )
    accepted = sum(item.accepted for item in per_language)
    target = data.target or sum(data.targets.values())
    return Progress(
        accepted=accepted,
        target=target,
        unlabelled=sum(item.unlabelled for item in per_language),
        seconds_left=_seconds_left(target - accepted, pace(workspace, author, since, wanted)),
        languages=per_language,
        pace=pace(workspace, author, since),
    )


def pace(workspace: Workspace, author: str, since: int, languages: Sequence[str] = ()) -> Pace:
    """The author's standing decisions since a time (epoch milliseconds), about these languages (none: all).

    The time of a decision is the gap to the one before it, whatever that was about, unless that was a pause; then, and
    for the first, the seconds that were recorded with it.
    """
    found = workspace.connection().execute(_DECISIONS, (author, since)).fetchall()
    decisions = accepted = bulk = 0
    spent = 0.0
    before: int | None = None
    for at, accepts, seconds, number, language in found:
        gap = (at - before) / 1000 if before is not None else PAUSE
        before = at
        if languages and language not in languages:
            continue
        if number > 1:
            bulk += number
            continue
        decisions += 1
        accepted += accepts
        spent += gap if gap < PAUSE else min(seconds or 0.0, PAUSE)
    return Pace(decisions, accepted, bulk, spent)


def midnight(now: float | None = None) -> int:
    """When the day of `now` (seconds; else today) began where the person is, in epoch milliseconds."""
    today = datetime.fromtimestamp(time.time() if now is None else now)
    return int(today.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


def _rate(number: int, pace: Pace) -> float | None:
    return 3600 * number / pace.seconds if pace.decisions >= _FEW and pace.seconds > 0 else None


def _seconds_left(missing: int, pace: Pace | None) -> float | None:
    if missing <= 0:
        return 0.0
    rate = pace.accepted_per_hour if pace is not None else None
    return 3600 * missing / rate if rate else None


# One row per decision: how many examples it was about, and the language of one of them.
_DECISIONS = f"""
SELECT label.at, label.action = 'accept' AND NOT label.again, label.seconds, count(*),
    coalesce(example.human_language, example.language)
FROM label JOIN example ON example.id = label.example_id
WHERE label.author = ? AND label.at >= ? AND label.action IN ('accept', 'reject', 'skip') AND {HOLDS}
GROUP BY label.batch ORDER BY label.at, label.id
"""
