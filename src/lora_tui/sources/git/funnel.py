"""How many commits each rule left out. What was seen is what was left out and what was kept: always."""

from __future__ import annotations

import msgspec


class Funnel(msgspec.Struct):
    """Counts of one repository, or of several together."""

    seen: int = 0
    dropped: dict[str, int] = {}  # rule -> commits, in the order the rules are asked
    kept: int = 0
    new: int = 0  # of the kept: not in the workspace before
    changed: int = 0  # there, but made with other settings
    unchanged: int = 0  # there; not read again
    earlier: int = 0  # commits that an earlier mining saw; not read again, not in `seen`

    @classmethod
    def of(cls, order: tuple[str, ...]) -> Funnel:
        """An empty one with every rule."""
        return cls(dropped=dict.fromkeys(order, 0))

    def drop(self, rule: str) -> None:
        """One more commit left out by `rule`."""
        self.seen += 1
        self.dropped[rule] += 1

    def keep(self) -> None:
        """One more commit kept."""
        self.seen += 1
        self.kept += 1

    def add(self, other: Funnel) -> None:
        """Add another repository's counts."""
        self.seen += other.seen
        for rule, number in other.dropped.items():
            self.dropped[rule] = self.dropped.get(rule, 0) + number
        self.kept += other.kept
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.earlier += other.earlier
