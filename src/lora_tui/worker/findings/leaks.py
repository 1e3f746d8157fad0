"""What is tested with, found in train: prompts of suites, and rows that nearly stand in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lora_tui.dataset import twins
from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named
from lora_tui.worker.findings.row_files import RowFiles

Across = tuple[str, str, str, str]  # row, its split, a row that says the same, its split


def twin_findings(dataset: Path, same: Sequence[Across]) -> list[Finding]:
    """An error for rows of validation or test that train nearly holds; `same` are those alike word for word."""
    rows = RowFiles(dataset)
    near = [
        (rows.ids[one], rows.splits[one], rows.ids[other], rows.splits[other])
        for one, other, _ in twins.pairs(rows, rows.read)
    ]
    across = sorted({pair for pair in [*same, *near] if _trains_and_tests(pair)})
    named = Named()
    seen: set[str] = set()
    for one, _, other, _ in across:
        for identity in (one, other):
            if identity not in seen:
                seen.add(identity)
                named.add(identity)
    if not across:
        return []
    first = f"{across[0][0]} in {across[0][1]} and {across[0][2]} in {across[0][3]}"
    return named.finding(
        "error",
        "twins-across-splits",
        f"{{rows}} are the same or nearly the same in train and in a split that tests it, such as {first}",
        "Build the dataset again: `lora-tui dataset build` keeps near-duplicates in one split.",
    )


def _trains_and_tests(pair: Across) -> bool:
    return pair[1] != pair[3] and "train" in (pair[1], pair[3])
