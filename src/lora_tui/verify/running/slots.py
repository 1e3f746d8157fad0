"""How many requests an endpoint takes at once: found while it is asked, from what it gets done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

MOST = 64  # requests in flight
_BEGIN = 4
# Answers per second, as a factor: what twice as many must gain, what they gain where none waits, what fewer may lose.
_WORTH, _WHOLE, _AS_GOOD = 1.15, 1.7, 0.95


class Slots:
    """`limit` requests may be in flight: as few as get done what the endpoint can get done.

    It doubles for as long as that gets more done. Where the last doubling did not get twice as much done it is lowered
    by a quarter for as long as that loses nothing. A server that is full gets no more done by holding more requests, it
    only lets each wait; one in sixteen more covers the time in which an answer is on its way. A refusal for asking too
    much (429) halves it for good.
    """

    def __init__(self, *, fixed: int = 0, told: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = fixed or min(told, MOST) or _BEGIN
        self._clock = clock
        self._search: Iterator[tuple[int, int]] | None = None if fixed or told else self._found()
        self._rate = 0.0  # answers per second at the present limit
        self._begun, self._count, self._window = clock(), 0, 0
        if self._search is not None:
            self.limit, self._window = next(self._search)

    def answered(self) -> None:
        """An answer came."""
        if self._search is None:
            return
        self._count += 1
        if self._count <= 0:  # it was under way when the limit changed
            self._begun = self._clock()
        if self._count < self._window:
            return
        now = self._clock()
        self._rate = self._count / max(now - self._begun, 1e-9)
        before = self.limit
        self.limit, self._window = next(self._search, (before, MOST))
        self._begun, self._count = now, -before

    def refused(self) -> None:
        """It said that this was too much."""
        self.limit = max(1, self.limit // 2)
        self._search = None

    def _found(self) -> Iterator[tuple[int, int]]:
        """The limits to try, one after another, each with the answers its rate is taken from; the last is kept."""
        best, gain = _BEGIN, 1.0
        yield best, best
        most = self._rate
        while best < MOST:
            for _ in range(2):  # one slow answer is no full server
                yield 2 * best, 2 * best
                if self._rate >= _WORTH * most:
                    break
            else:
                break
            best, most, gain = 2 * best, self._rate, self._rate / most
        while best > 1 and gain < _WHOLE:
            fewer = best * 3 // 4
            yield fewer, 8 * best  # many: answers of a steady server come in batches
            if self._rate < _AS_GOOD * most:
                break
            best = fewer
        yield best + best // 16, MOST
