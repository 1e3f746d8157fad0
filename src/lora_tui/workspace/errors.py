"""The one exception family: what happened, where, and what to do about it.

The command line prints it in two lines, the app shows it in a dialog that can be copied. A traceback is for bugs.
"""

from __future__ import annotations


class LoraTuiError(Exception):
    """Something failed that a person can understand and act on.

    what:  one sentence, without a full stop at the end.
    where: the file, key, line or row it is about; empty when `what` already says it.
    fix:   what to do next; empty when nothing can be done.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """Two lines at most: the fact with its place, then the way out."""
        first = f"{self.what} ({self.where})" if self.where else self.what
        return f"{first}\n{self.fix}" if self.fix else first


class BadInput(LoraTuiError):
    """What was given cannot be used: a wrong file, key, name or option."""

    exit_code = 2


class SourceError(BadInput):
    """A foreign file (a database, a history) cannot be read; the workspace stays as it was."""
