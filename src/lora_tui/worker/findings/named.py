"""The rows that a finding is about: all are counted, the first are named."""

from __future__ import annotations

import re

from lora_tui.jobs.audit import ROWS_NAMED, Finding, Severity

_FORMS = re.compile(r"\[([a-z ]+)\|([a-z ]+)\]")


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
        """The finding, if there are rows. `{rows}` of the message becomes '2 rows', `[is|are]` the form that fits."""
        if not self.count:
            return []
        said = _FORMS.sub(lambda found: found[1 if self.count == 1 else 2], message.replace("{rows}", many(self.count)))
        return [Finding(severity, code, said, tuple(self.rows), self.count, fix)]


def many(rows: int) -> str:
    """1 row, 2 rows."""
    return "1 row" if rows == 1 else f"{rows:,} rows"
