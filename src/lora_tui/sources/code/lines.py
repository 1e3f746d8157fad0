"""Line numbers from byte offsets.

Not from tree-sitter's points: in 0.26.0 reading the row of a point releases a number it does not own, and from line 257
on, where Python no longer keeps the number alive, that ends in a segmentation fault.
"""

from __future__ import annotations

from bisect import bisect_right


class Lines:
    """Where the lines of a text begin; lines count from 1."""

    def __init__(self, code: bytes) -> None:
        self.starts = [0]
        at = code.find(b"\n")
        while at >= 0:
            self.starts.append(at + 1)
            at = code.find(b"\n", at + 1)

    def at(self, offset: int) -> int:
        """The line of the byte at this offset."""
        return bisect_right(self.starts, offset)

    def last(self, start: int, end: int) -> int:
        """The last line on which code[start:end] has a byte: its end may be the start of the line after it."""
        return self.at(max(start, end - 1))
