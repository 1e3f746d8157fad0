"""The rows that a finding is about: all are counted, the first are named."""

from __future__ import annotations

from lora_tui.jobs.audit import ROWS_NAMED, Finding, Severity


class Named:
    """Rows as they come; one that comes several times in a row counts once."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[str] = []
        self._last = ""

    def add(self, row: str) -> None:
        """Another row it is about."""
        if row == self._last:
            return
        self._last = row
        self.count += 1
        if len(self.rows) < ROWS_NAMED:
            self.rows.append(row)

    def finding(self, severity: Severity, code: str, message: str, fix: str = "") -> list[Finding]:
        """The finding, none where there are no rows; `{rows}` of the message becomes their number, with `row(s)`."""
        if not self.count:
            return []
        said = message.replace("{rows}", many(self.count))
        return [Finding(severity, code, said, tuple(self.rows), self.count, fix)]


def many(rows: int) -> str:
    """1 row, 2 rows."""
    return "1 row" if rows == 1 else f"{rows:,} rows"
