"""Tests in train: prompts of suites, and rows that stand in two splits or nearly do."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named
from lora_tui.worker.rows import Row


class Leaks:
    """Holds rows of train against suites, and rows of all splits against each other."""

    def __init__(self, suites: Sequence[tuple[str, str]]) -> None:
        self._leaked = Named()

    def see(self, row: Row, split: str) -> None:
        """A row as it stands in the file."""

    def findings(self, across: Sequence[tuple[str, str, str, str]]) -> list[Finding]:
        """Errors; `across` holds pairs that are the same word for word."""
        return []
