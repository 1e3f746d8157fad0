"""What is tested with, found in train: prompts of suites, and rows that nearly stand in two splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lora_tui.dataset import twins
from lora_tui.dataset.contamination import Prompts
from lora_tui.dataset.model import Row
from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named
from lora_tui.worker.findings.row_files import RowFiles

Across = tuple[str, str, str, str]  # row, its split, a row that says the same, its split


def leak_findings(dataset: Path, suites: Sequence[tuple[str, str]], same: Sequence[Across]) -> list[Finding]:
    """Errors for rows of train that say what is tested with; the files are gone through once more.

    suites: (suite, text) of what they ask and expect. same: rows alike word for word.
    """
    rows, prompts = RowFiles(dataset), Prompts(suites)
    asked, named_suites = Named(), set[str]()

    def held_against_suites() -> Iterator[Row]:
        for row in rows:
            if rows.splits[-1] == "train" and (suite := prompts.suite_like(row)):
                named_suites.add(suite)
                asked.add(row.id)
            yield row

    near = [
        (rows.ids[one], rows.splits[one], rows.ids[other], rows.splits[other])
        for one, other, _ in twins.pairs(held_against_suites(), rows.read)
    ]
    found = asked.finding(
        "error",
        "suite-in-train",
        f"{{rows}} of train [says|say] what the suite {', '.join(sorted(named_suites))} asks or expects: its report "
        "would prove nothing",
        "Build the dataset again: `lora-tui dataset build` leaves such rows out. Out of an imported file, take them "
        "yourself, and import it again.",
    )
    return found + _twin_findings([*same, *near])


def _twin_findings(alike: Sequence[Across]) -> list[Finding]:
    across = sorted({pair for pair in alike if _trains_and_tests(pair)})
    named = Named()
    for identity in dict.fromkeys(identity for one, _, other, _ in across for identity in (one, other)):
        named.add(identity)
    if not across:
        return []
    first = f"{across[0][0]} in {across[0][1]} and {across[0][2]} in {across[0][3]}"
    return named.finding(
        "error",
        "twins-across-splits",
        f"{{rows}} [is|are] the same or nearly the same in train and in a split that tests it, such as {first}",
        "Build the dataset again, or import its file again: both keep near-duplicates in one split.",
    )


def _trains_and_tests(pair: Across) -> bool:
    return pair[1] != pair[3] and "train" in (pair[1], pair[3])
