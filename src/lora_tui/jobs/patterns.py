"""A suite's regular expressions: some never come to an end on some answer, so every search has a limit.

By the package `regex`, which can be told when to give up and lets others work meanwhile; it reads Python's and
JavaScript's named groups.
"""

from __future__ import annotations

from collections.abc import Iterator

SECONDS = 1.0  # for an answer; what ends at all ends in milliseconds


def problem(pattern: str) -> str:
    """Why this is no regular expression; empty where it is one."""
    import regex

    try:
        regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:  # brackets without end
        return str(error)
    return ""


def occurs(pattern: str, text: str) -> bool:
    """Whether it is found in a text. Raises TimeoutError where that cannot be said within `SECONDS`."""
    import regex

    return regex.search(pattern, text, timeout=SECONDS, concurrent=True) is not None


def places(pattern: str, text: str, seconds: float) -> Iterator[tuple[int, int]]:
    """From where to where it is found, as far as that is known after so many seconds."""
    import regex

    try:
        for found in regex.finditer(pattern, text, timeout=seconds, concurrent=True):
            yield found.span()
    except TimeoutError:
        return
