"""What became of every piece of code, counted: found = left out + not needed + tried, tried = failed + stored."""

from __future__ import annotations

import msgspec


class Funnel(msgspec.Struct):
    """Counts by reason, in the order in which the reasons are asked."""

    found: int = 0
    left_out: dict[str, int] = {}  # before anything was asked
    not_needed: int = 0
    tried: int = 0
    failed: dict[str, int] = {}  # checks that the request did not pass
    low: int = 0  # stored for a person: the request fits badly
    kept: int = 0  # stored

    @property
    def stored(self) -> int:
        """Examples made."""
        return self.kept + self.low

    @property
    def open(self) -> int:
        """Tried, and neither failed nor stored yet."""
        return self.tried - sum(self.failed.values()) - self.stored

    def leave_out(self, reason: str) -> None:
        """Count one more piece of code that is not used."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def fail(self, reason: str) -> None:
        """Count one more request that did not pass."""
        self.failed[reason] = self.failed.get(reason, 0) + 1
