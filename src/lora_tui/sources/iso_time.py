"""Timestamps as agents write them."""

from __future__ import annotations

from datetime import datetime


def milliseconds(text: str) -> int:
    """ISO 8601 → epoch milliseconds, local time where no zone is given; 0 for what is no time."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return 0
