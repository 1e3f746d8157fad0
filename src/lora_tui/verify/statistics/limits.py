"""Whether a rate or a difference lies on one side of a limit for sure, or how many prompts are missing to say so."""

from __future__ import annotations

from math import ceil, sqrt

import msgspec

from lora_tui.verify.statistics.comparison import Comparison
from lora_tui.verify.statistics.interval import FEWEST
from lora_tui.verify.statistics.needed import prompts_for, prompts_to_see, trials_for_rate
from lora_tui.verify.statistics.rates import Rate, wilson

MANY = 10_000  # prompts; more are no advice


class Side(msgspec.Struct, frozen=True):
    """Where it lies. `above` None: the interval holds the limit; then about `more` prompts are missing."""

    above: bool | None
    more: int = 0


def rate_side(found: Rate, limit: float, prompts: int) -> Side:
    """A pass rate over so many prompts against a limit, by Wilson's interval."""
    if found.interval.low >= limit:
        return Side(True)
    if found.interval.high < limit:
        return Side(False)
    needed = trials_for_rate(found.value, limit) / _trials(found)  # times as many as there were
    return Side(None, _missing(needed * prompts, prompts))


def difference_side(found: Comparison, limit: float) -> Side:
    """A difference against a limit, both from -1 to 1: by its test where the limit is 0, else by its interval too.

    What no prompt showed may still happen to others: enough must have been asked to have seen it (`prompts_to_see`).
    """
    if found.prompts == 0:
        return Side(None, FEWEST)
    if limit == 0:
        decided = {"better": True, "worse": False, "same": False}.get(found.outcome)
        return Side(decided, found.more)
    alike = found.interval is None and found.prompts >= FEWEST
    low = found.interval.low if found.interval else found.difference if alike else -1.0
    high = found.interval.high if found.interval else found.difference if alike else 1.0
    # Were the truth on the other side, at least so many prompts would be worse (or better) than any that was seen.
    unseen = max(low, 0.0) - limit if limit < 0 else limit - min(high, 0.0)
    seen = found.prompts >= prompts_to_see(unseen)
    if low >= limit and (seen if limit < 0 else found.outcome == "better"):
        return Side(True)
    if high < limit and (seen if limit > 0 else found.outcome == "worse"):
        return Side(False)
    size = abs(found.difference - limit)
    if not size:
        return Side(None, MANY)
    spread = found.spread or sqrt(abs(limit) * (1 - abs(limit)))
    return Side(None, _missing(max(prompts_for(size, spread), prompts_to_see(unseen)), found.prompts))


def _missing(needed: float, prompts: int) -> int:
    return min(MANY, max(1, ceil(needed) - prompts))


def _trials(found: Rate) -> int:
    """Independent trials that a rate's interval was reckoned with: several samples of a prompt are more than one."""
    width = found.interval.high - found.interval.low
    low, high = 1, found.samples
    while low < high:
        middle = (low + high) // 2
        here = wilson(found.value, middle)
        low, high = (middle + 1, high) if here.high - here.low > width + 1e-9 else (low, middle)
    return low
