"""Lines of a stream, however its bytes are cut into pieces."""

from __future__ import annotations

MOST = 1 << 20  # bytes of one line


class TooLong(Exception):
    """A line without an end."""


class Lines:
    """Joins what comes and splits it at line ends, whether \\n or \\r\\n."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now. Raises TooLong."""
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        if len(self._rest) > MOST:
            raise TooLong(f"a line is longer than {MOST >> 10} KiB")
        return lines

    def last(self) -> bytes:
        """What came after the last line end; the stream is over."""
        rest, self._rest = self._rest, b""
        return rest
