"""How far two people agree, and one person with themselves, beyond what chance would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from lora_tui.curation.decisions import HOLDS, STANDING
from lora_tui.workspace.layout import Workspace

NEEDED = 30  # examples both have decided about, before a kappa says anything


class Disagreement(msgspec.Struct, frozen=True):
    """One example about whose content two people decided differently."""

    id: int
    request: str
    first: str
    second: str


class Scale(msgspec.Struct, frozen=True):
    """Agreement on one question. `kappa` is None below NEEDED, and where everybody always said the same."""

    both: int  # examples that both answered
    same: int
    kappa: float | None


class Agreement(msgspec.Struct, frozen=True):
    """Two people's latest standing answers about the same content, compared."""

    first: str
    second: str
    decision: Scale  # accept or reject; who skips says nothing
    language: Scale
    disagreements: list[Disagreement]  # about the decision


class Consistency(msgspec.Struct, frozen=True):
    """One person's answers to questions asked a second time."""

    author: str
    asked: int
    same: int

    @property
    def share(self) -> float | None:
        """Which part of them came out the same; None when none was asked."""
        return self.same / self.asked if self.asked else None


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa (Cohen 1960): (observed - expected) / (1 - expected). None when chance alone gives agreement."""
    if not pairs:
        return None
    total = len(pairs)
    observed = sum(first == second for first, second in pairs) / total
    firsts, seconds = (Counter(side) for side in zip(*pairs, strict=True))
    expected = sum(firsts[answer] * seconds[answer] for answer in firsts) / total**2
    return None if expected >= 1.0 else (observed - expected) / (1.0 - expected)


def authors(workspace: Workspace) -> list[str]:
    """Everybody who decided about an example, those with the most decisions first."""
    found = workspace.connection().execute(
        "SELECT author FROM label WHERE action IN ('accept', 'reject', 'skip') GROUP BY author "
        "ORDER BY count(*) DESC, author"
    )
    return [row[0] for row in found]


def agreement(workspace: Workspace, first: str, second: str) -> Agreement:
    """Compare two people. Counts every content both decided about, also one an example no longer has."""
    connection = workspace.connection()
    decided = connection.execute(_DECIDED, {"first": first, "second": second}).fetchall()
    named = connection.execute(_NAMED, {"first": first, "second": second}).fetchall()
    return Agreement(
        first=first,
        second=second,
        decision=_scale([(one, other) for _, _, one, other in decided]),
        language=_scale([(one, other) for one, other in named]),
        disagreements=[Disagreement(*row) for row in decided if row[2] != row[3]],
    )


def consistency(workspace: Workspace, author: str) -> Consistency:
    """Compare this person's repeated answers with the ones they gave to the same content before."""
    asked, same = workspace.connection().execute(_AGAIN, (author,)).fetchone()
    return Consistency(author=author, asked=asked, same=same or 0)


def _scale(pairs: Sequence[tuple[str, str]]) -> Scale:
    enough = len(pairs) >= NEEDED
    return Scale(len(pairs), sum(one == other for one, other in pairs), kappa(pairs) if enough else None)


_DECIDED = f"""
WITH standing AS ({STANDING})
SELECT example.id, example.request, one.action, other.action
FROM standing AS one JOIN standing AS other USING (example_id, example_key) JOIN example ON example.id = example_id
WHERE one.author = :first AND other.author = :second AND one.action != 'skip' AND other.action != 'skip'
ORDER BY example.id
"""

_NAMED = f"""
WITH named AS (
    SELECT example_id, example_key, author, CAST(value AS TEXT) AS language, max(at) FROM label
    WHERE action = 'language' AND author IN (:first, :second) AND {HOLDS} GROUP BY example_id, example_key, author
)
SELECT one.language, other.language FROM named AS one JOIN named AS other USING (example_id, example_key)
WHERE one.author = :first AND other.author = :second
"""

# Of each repeated answer, the latest one before it about the same content.
_AGAIN = f"""
SELECT count(*), sum(before = now) FROM (
    SELECT label.action AS now, (
        SELECT earlier.action FROM label AS earlier
        WHERE earlier.example_id = label.example_id AND earlier.example_key = label.example_key
          AND earlier.author = label.author AND earlier.at < label.at AND earlier.action IN ('accept', 'reject')
          AND NOT EXISTS (SELECT 1 FROM label AS taken
                          WHERE taken.example_id = earlier.example_id AND taken.undoes = earlier.batch)
        ORDER BY earlier.at DESC, earlier.id DESC LIMIT 1
    ) AS before
    FROM label WHERE again AND author = ? AND action IN ('accept', 'reject') AND {HOLDS}
) WHERE before IS NOT NULL
"""
