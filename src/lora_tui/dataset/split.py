"""Train, validation and test without sharing a session between them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from lora_tui.dataset.model import SPLITS

RULE = "whole sessions (a subagent's goes with the one that called it), in an order drawn from the seed"


def split(groups: Sequence[str], shares: Sequence[int], seed: int) -> list[str]:
    """The split of each item, given its group: all items of one group fall into the same split.

    shares: percent for train, validation, test. Test is filled first, then validation; train gets the rest, and
    never nothing: with one or two groups there is no room for all three.
    """
    members: dict[str, int] = defaultdict(int)
    for group in groups:
        members[group] += 1
    order = sorted(members, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    total, spare = len(groups), len(order) - 1  # groups that train can do without
    placed: dict[str, str] = {}
    for name in ("test", "validation"):
        wanted, taken = total * shares[SPLITS.index(name)] / 100, 0
        while order and spare > 0 and wanted and taken + members[order[-1]] / 2 <= max(wanted, 1):
            group = order.pop()
            placed[group] = name
            taken += members[group]
            spare -= 1
            if taken >= wanted:
                break
    return [placed.get(group, "train") for group in groups]


def roots(parents: Mapping[str, str]) -> dict[str, str]:
    """For every session its outermost ancestor, given each delegated session's parent; safe against a circle."""
    found: dict[str, str] = {}
    for session in parents:
        current, seen = session, {session}
        while parents.get(current) and parents[current] not in seen:
            current = parents[current]
            seen.add(current)
        found[session] = current
    return found
