"""rejected.jsonl: what is not in a version, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from lora_tui.dataset.model import Rejected

_lines = msgspec.json.Encoder()


class LeftOut:
    """rejected.jsonl, written as the examples come; counts the reasons."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.reasons: Counter[str] = Counter()

    def add(self, items: Iterable[Rejected]) -> None:
        """Write these."""
        for item in items:
            self._file.write(_lines.encode(item) + b"\n")
            self.reasons[item.reason] += 1
