"""Among rows that may all be in: one of each near-duplicate group, and not too many synthetic ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.model import Rejected


def distinct(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejected]]:
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


def capped(candidates: Sequence[Candidate], share: float, seed: int) -> tuple[list[Candidate], list[Rejected]]:
    """At most this share of each language's rows is synthetic; which ones stay is drawn from the seed."""
    real: dict[str, int] = defaultdict(int)
    synthetic: dict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        if item.origin == "synthetic":
            synthetic[item.language].append(item)
        else:
            real[item.language] += 1
    gone: dict[int, Rejected] = {}
    for language, items in synthetic.items():
        most = len(items) if share >= 1 else int(real[language] * share / (1 - share) + 1e-9)
        items.sort(key=lambda item: hashlib.sha256(f"{seed}\0{item.id}".encode()).digest())
        for item in items[most:]:
            reason = f"more than {share:.0%} of {language} would be synthetic"
            gone[item.example] = _rejected(item, reason)
    return [item for item in candidates if item.example not in gone], list(gone.values())


def _rejected(item: Candidate, reason: str, about: str = "") -> Rejected:
    return Rejected(item.id, item.example, reason, item.request, about)
