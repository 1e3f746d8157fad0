"""What paired results can say, and when they can say nothing. Plain data in, plain structs out.

`compare` and `compare_groups` judge pass rates, `rate_side` and `difference_side` hold them against a limit, `latency`
judges times, `noise` a model against itself, `vote` and `bradley_terry` people's votes. numpy is imported when
something is computed.
"""

from __future__ import annotations

from lora_tui.verify.statistics.bradley_terry import Ranked, Ranking, bradley_terry
from lora_tui.verify.statistics.comparison import Comparison, compare
from lora_tui.verify.statistics.groups import compare_groups, holm
from lora_tui.verify.statistics.interval import Interval
from lora_tui.verify.statistics.latency import Latency, latency
from lora_tui.verify.statistics.limits import MANY, difference_side, rate_side
from lora_tui.verify.statistics.mcnemar import exact_p
from lora_tui.verify.statistics.needed import prompts_for
from lora_tui.verify.statistics.noise import Noise, noise
from lora_tui.verify.statistics.rates import Rate, pass_rates, rate, wilson
from lora_tui.verify.statistics.sign_flip import SignFlip, sign_flip
from lora_tui.verify.statistics.votes import Votes, vote

__all__ = [
    "MANY",
    "Comparison",
    "Interval",
    "Latency",
    "Noise",
    "Ranked",
    "Ranking",
    "Rate",
    "SignFlip",
    "Votes",
    "bradley_terry",
    "compare",
    "compare_groups",
    "difference_side",
    "exact_p",
    "holm",
    "latency",
    "noise",
    "pass_rates",
    "prompts_for",
    "rate",
    "rate_side",
    "sign_flip",
    "vote",
    "wilson",
]
