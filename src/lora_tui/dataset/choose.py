"""Among rows that may all be in: one of each near-duplicate group, and not too many synthetic ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence

from lora_tui.curation.decisions import STANDING
from lora_tui.dataset.model import Rejected
from lora_tui.dataset.select import Candidate
from lora_tui.workspace.layout import Workspace

MACHINES = ("augment", "demo")  # authors of labels that are no people


def accepted_by_people(workspace: Workspace) -> set[int]:
    """The examples that a person accepted, not only a rule."""
    marks = ",".join("?" * len(MACHINES))
    found = workspace.connection().execute(
        f"SELECT example_id FROM ({STANDING}) AS standing JOIN example ON example.id = standing.example_id "
        f"AND example.key = standing.example_key WHERE standing.action = 'accept' AND author NOT IN ({marks})",
        MACHINES,
    )
    return {identity for (identity,) in found}


def distinct(candidates: Sequence[Candidate], by_people: Collection[int]) -> tuple[list[Candidate], list[Rejected]]:
    """Of rows with the same content, and of near-duplicates, one.

    Kept is what people wrote before what is synthetic, then what a person accepted, then the longer, then the newer.
    """

    def rank(item: Candidate) -> tuple[bool, bool, int, int, int]:
        row = item.row
        return row.origin != "synthetic", row.example in by_people, item.characters, item.created, -row.example

    best: dict[str, Candidate] = {}
    kept: list[Candidate] = []
    rejected: list[Rejected] = []
    for item in sorted(candidates, key=rank, reverse=True):
        cluster = f"near {item.cluster}" if item.cluster else ""
        reasons = (("same content twice", item.row.id), ("near-duplicate", cluster))
        for reason, key in reasons:
            if key and key in best:
                rejected.append(_rejected(item, reason, f"example {best[key].row.example} stays"))
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
        if item.row.origin == "synthetic":
            synthetic[item.row.language].append(item)
        else:
            real[item.row.language] += 1
    gone: dict[int, Rejected] = {}
    for language, items in synthetic.items():
        most = len(items) if share >= 1 else int(real[language] * share / (1 - share) + 1e-9)
        items.sort(key=lambda item: hashlib.sha256(f"{seed}\0{item.row.id}".encode()).digest())
        for item in items[most:]:
            reason = f"more than {share:.0%} of {language} would be synthetic"
            gone[item.row.example] = _rejected(item, reason)
    return [item for item in candidates if item.row.example not in gone], list(gone.values())


def _rejected(item: Candidate, reason: str, about: str = "") -> Rejected:
    return Rejected(item.row.id, item.row.example, reason, item.request, about)
