"""What a handful of paired results can say, and when they can say nothing."""

from __future__ import annotations

from math import comb

import msgspec

ENOUGH_FLIPS = 6  # 6 to 0 is the smallest split that reaches 5 % two-sided (p = 0.031)
LEVEL = 0.05


class Paired(msgspec.Struct, frozen=True):
    """Pass or fail of the same prompts under two models."""

    prompts: int
    baseline_passed: int
    tuned_passed: int
    gained: int  # the fine-tune passes where the baseline fails
    lost: int
    p: float  # exact McNemar test, two-sided
    verdict: str


def paired(baseline: list[bool], tuned: list[bool]) -> Paired:
    """Compare two equally long lists of outcomes, prompt by prompt (McNemar 1947, exact binomial form)."""
    gained = sum(after and not before for before, after in zip(baseline, tuned, strict=True))
    lost = sum(before and not after for before, after in zip(baseline, tuned, strict=True))
    p = exact_p(gained, lost)
    return Paired(
        prompts=len(baseline),
        baseline_passed=sum(baseline),
        tuned_passed=sum(tuned),
        gained=gained,
        lost=lost,
        p=p,
        verdict=_verdict(gained, lost, p),
    )


def exact_p(gained: int, lost: int) -> float:
    """Chance of a split at least this uneven if both models were equally good."""
    flips = gained + lost
    if not flips:
        return 1.0
    tail = sum(comb(flips, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**flips))


def _verdict(gained: int, lost: int, p: float) -> str:
    if gained + lost < ENOUGH_FLIPS:
        return (
            f"Too few prompts to tell: {gained + lost} came out differently; below {ENOUGH_FLIPS} no result is more "
            "than chance could give. Add prompts to the suite."
        )
    if p > LEVEL:
        return f"No difference that could not be chance (p = {p:.2f})."
    better, worse = ("fine-tune", "baseline") if gained > lost else ("baseline", "fine-tune")
    return f"The {better} is better than the {worse} on these prompts (p = {p:.3f})."
