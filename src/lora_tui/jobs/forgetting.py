"""What forgetting is in words: how the loss on held general conversations has moved since before the run."""

from __future__ import annotations

import math

from lora_tui.jobs.journal import General


def words(event: General) -> str:
    """general loss 2.310 → 2.450 (+0.140, perplexity +15 %), KL 0.080; without the way there where it only begins."""
    if event.start is None or event.step == 0:
        return f"general loss {event.loss:.3f} before training"
    rise = event.loss - event.start
    change = f"{rise:+.3f}, perplexity {math.expm1(min(rise, 50.0)):+.0%}"
    kl = f", KL {event.kl:.3f}" if event.kl is not None else ""
    return f"general loss {event.start:.3f} → {event.loss:.3f} ({change}){kl}"
