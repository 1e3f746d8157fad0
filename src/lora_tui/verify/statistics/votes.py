"""What people's blind votes between two models say: the sign test."""

from __future__ import annotations

import msgspec

from lora_tui.verify.statistics.mcnemar import exact_p
from lora_tui.verify.statistics.sign_flip import ENOUGH_FLIPS, SIGNIFICANCE, p_words


class Votes(msgspec.Struct, frozen=True):
    """Counted votes."""

    baseline: int
    tuned: int
    ties: int
    p: float  # sign test, two-sided; ties say nothing and are left out

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        decided = self.baseline + self.tuned
        if decided < ENOUGH_FLIPS:
            return f"Too few votes to tell: {decided} without a tie, at least {ENOUGH_FLIPS} are needed."
        if self.p > SIGNIFICANCE:
            return f"No preference that could not be chance ({self.tuned} to {self.baseline}, {p_words(self.p)})."
        one, other = ("fine-tune", "baseline") if self.tuned > self.baseline else ("baseline", "fine-tune")
        most, least = max(self.tuned, self.baseline), min(self.tuned, self.baseline)
        return f"The {one} is preferred to the {other} ({most} to {least}, {p_words(self.p)})."


def vote(baseline: int, tuned: int, ties: int = 0) -> Votes:
    """Test the votes for each of two models (sign test, Dixon and Mood 1946)."""
    return Votes(baseline, tuned, ties, exact_p(tuned, baseline))
