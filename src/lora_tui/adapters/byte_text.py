"""Bytes as people read them."""

from __future__ import annotations


def size(count: int) -> str:
    """80.8 MB, 1.2 GB; decimal units, as disks and file managers have them."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
