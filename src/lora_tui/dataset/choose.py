"""Among rows that may all be in: which are. Each rule takes candidates and gives those that stay and those that do not.

What stays is told by the candidates and the seed alone, never by the order in which they come.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import Rejected
from lora_tui.workspace.profiles import Data

MANY = 4  # repositories from which on a share of one is limited

Chosen = tuple[list[Candidate], list[Rejected]]


class Choice(msgspec.Struct, frozen=True):
    """What every rule together leaves."""

    kept: list[Candidate]
    rejected: list[Rejected]
    notes: tuple[str, ...] = ()


def chosen(candidates: Sequence[Candidate], data: Data, seed: int) -> Choice:
    """Every rule in turn. The limits of `data` hold for what stays, all of them together.

    The share of a repository is the exception: where keeping to it would cost more than half of the rows it is not
    kept to, and a note says so.
    """
    kept, rejected = list(candidates), list[Rejected]()
    for rule in (
        contaminated,
        distinct,
        lambda items: per_session(items, data.per_session),
        lambda items: per_repository(items, data.per_repository, seed),
    ):
        kept, left_out = rule(kept)
        rejected += left_out
    limited = _shares(kept, data, data.repository_share, seed)
    without = _shares(kept, data, 1, seed)
    notes: tuple[str, ...] = ()
    if len(limited[0]) * 2 < len(without[0]):
        notes = (_not_kept_to(without[0], data.repository_share, len(limited[0])),)
        limited = without
    return Choice(limited[0], rejected + limited[1], notes)


def _shares(candidates: Sequence[Candidate], data: Data, share: float, seed: int) -> Chosen:
    """Both shares at once: fewer rows make every share a smaller number."""
    kept, rejected = list(candidates), list[Rejected]()
    while True:
        kept, synthetic = synthetic_share(kept, data.synthetic_share, seed)
        kept, crowded = repository_share(kept, share, seed)
        rejected += [*synthetic, *crowded]
        if not crowded:
            return kept, rejected


def _not_kept_to(candidates: Sequence[Candidate], share: float, left: int) -> str:
    (largest, rows) = min(
        Counter(item.repository for item in candidates if item.repository).items(), key=lambda item: (-item[1], item[0])
    )
    return (
        f"{_name(largest)} holds {rows / len(candidates):.0%} of the rows; {share:.0%} at most of one repository would"
        f" leave {left:,} of {len(candidates):,} rows, so that limit is not kept to (per_repository always is)"
    )


def contaminated(candidates: Sequence[Candidate]) -> Chosen:
    """No row that resembles a prompt of a suite: what a model is measured with, it must not have learned."""
    kept = [item for item in candidates if not item.suite]
    return kept, [_rejected(item, like(item.suite)) for item in candidates if item.suite]


def like(suite: str) -> str:
    """Why a row that resembles a suite's prompt is left out."""
    return f"like a prompt of the suite {suite}"


def distinct(candidates: Sequence[Candidate]) -> Chosen:
    """Of rows with the same content, and of near-duplicates, one.

    Kept is what people wrote before what is synthetic, then what a person accepted, then the longer, then the newer.
    """

    def rank(item: Candidate) -> tuple[bool, bool, int, int, int]:
        return item.origin != "synthetic", item.by_person, item.characters, item.created, -item.example

    best: dict[str, Candidate] = {}
    kept: list[Candidate] = []
    rejected: list[Rejected] = []
    for item in sorted(candidates, key=rank, reverse=True):
        cluster = f"near {item.cluster}" if item.cluster else ""
        reasons = (("same content twice", item.id), ("near-duplicate", cluster))
        for reason, key in reasons:
            if key and key in best:
                rejected.append(_rejected(item, reason, f"example {best[key].example} stays"))
                break
        else:
            kept.append(item)
            best.update({key: item for _, key in reasons if key})
    return kept, rejected


def per_session(candidates: Sequence[Candidate], most: int) -> Chosen:
    """At most so many rows of one session with its subagents; 0: all.

    Kept is what a person accepted, then what went well, then the longer, then the newer.
    """

    def rank(item: Candidate) -> tuple[bool, bool, int, int, str]:
        return not item.by_person, not item.success, -item.characters, -item.created, item.id

    if not most:
        return list(candidates), []
    reason = f"more than {most} {'row' if most == 1 else 'rows'} of one session"
    return _limited(candidates, lambda item: item.root, lambda _: most, rank, reason)


def per_repository(candidates: Sequence[Candidate], most: int, seed: int) -> Chosen:
    """At most so many rows of one repository, a person's choice first, then drawn by the seed; 0: all."""
    if not most:
        return list(candidates), []
    reason = f"more than {most} {'row' if most == 1 else 'rows'} of one repository"
    return _limited(candidates, lambda item: item.repository, lambda _: most, _drawn(seed), reason, _name)


def repository_share(candidates: Sequence[Candidate], share: float, seed: int) -> Chosen:
    """At most this share of all rows is of one repository, where there are four or more; 1: no limit.

    A share that so few repositories cannot keep to counts as equal parts. Which rows stay: as in `per_repository`.
    """
    sizes = Counter(item.repository for item in candidates if item.repository)
    if len(sizes) < MANY or share >= 1:
        return list(candidates), []
    most = _most(list(sizes.values()), len(candidates) - sizes.total(), max(share, 1 / len(sizes)))
    reason = f"more than {share:.0%} of all rows would be of one repository"
    return _limited(candidates, lambda item: item.repository, lambda _: most, _drawn(seed), reason, _name)


def synthetic_share(candidates: Sequence[Candidate], share: float, seed: int) -> Chosen:
    """At most this share of each language's rows is synthetic; which ones stay is drawn from the seed; 1: no limit."""
    if share >= 1:
        return list(candidates), []
    real = Counter(item.language for item in candidates if item.origin != "synthetic")

    def most(language: str) -> int:
        return int(real[language] * share / (1 - share) + 1e-9)

    made = [item for item in candidates if item.origin == "synthetic"]
    gone: list[Rejected] = []
    for language in sorted({item.language for item in made}):
        reason = f"more than {share:.0%} of {language} would be synthetic"
        ours = [item for item in made if item.language == language]
        gone += _limited(ours, lambda item: item.language, most, _drawn(seed, people=False), reason)[1]
    return _without(candidates, gone), gone


def _most(sizes: Sequence[int], others: int, share: float) -> int:
    """How many rows of one repository are at most `share` of all, when each of them is cut to that.

    others: rows of no repository. What may stay of all rows grows slower and slower with the limit, so the limits
    that hold are those up to a largest one.
    """
    low, high = 1, max(sizes)
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= share * (others + sum(min(size, middle) for size in sizes)) + 1e-9:
            low = middle
        else:
            high = middle - 1
    return low


def _limited(
    candidates: Sequence[Candidate],
    group: Callable[[Candidate], str],
    most: Callable[[str], int],
    rank: Callable[[Candidate], Any],
    reason: str,
    name: Callable[[str], str] = str,
) -> Chosen:
    """The first `most` of each group by rank; what has no group stays."""
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        if group(item):
            groups[group(item)].append(item)
    gone: list[Rejected] = []
    for key, items in sorted(groups.items()):
        limit = most(key)
        if len(items) > limit:
            about = f"{name(key)}: {limit:,} of {len(items):,} rows stay"
            gone += [_rejected(item, reason, about) for item in sorted(items, key=rank)[limit:]]
    return _without(candidates, gone), gone


def _drawn(seed: int, people: bool = True) -> Callable[[Candidate], tuple[bool, bytes]]:
    return lambda item: (
        people and not item.by_person,
        hashlib.sha256(f"{seed}\0{item.id}".encode()).digest(),
    )


def _without(candidates: Iterable[Candidate], gone: Iterable[Rejected]) -> list[Candidate]:
    left = {(item.id, item.example) for item in gone}
    return [item for item in candidates if (item.id, item.example) not in left]


def _name(directory: str) -> str:
    """A folder's own name."""
    return directory.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _rejected(item: Candidate, reason: str, about: str = "") -> Rejected:
    return Rejected(item.id, item.example, reason, item.request, about)
