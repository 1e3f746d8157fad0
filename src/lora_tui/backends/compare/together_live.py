"""What Together itself says of a run: whether it has the base, whether it allows the settings, and the price.

Nothing is uploaded for it: a price is asked for where a run of the same dataset has left its validated files there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from lora_tui.backends.compare.figure import LIVE, Figure
from lora_tui.backends.compare.past import Past
from lora_tui.backends.compare.work import Work
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.profiles import Profile

_PATIENCE = 15.0  # seconds: a comparison does not wait for long


class Said(msgspec.Struct, frozen=True):
    """Its answers; `cost` None: it was not asked for one. `note`: why something could not be asked."""

    fits: bool | None
    why: str
    cost: Figure | None = None
    note: str = ""


def ask(profile: Profile, work: Work, runs: Sequence[Past], dataset_hash: str) -> Said:
    """Ask with the key of the environment or keyring. An error is a note."""
    try:
        return _ask(profile, work, runs, dataset_hash)
    except LoraTuiError as error:
        return Said(None, "it could not be asked", note=f"not live: {error.what}")


def _ask(profile: Profile, work: Work, runs: Sequence[Past], dataset_hash: str) -> Said:
    from lora_tui.backends.together import pricing, settings
    from lora_tui.backends.together.client import connected
    from lora_tui.backends.together.limits import base_for
    from lora_tui.backends.together.recalled import TRAINING_FILE

    client = connected().with_options(timeout=_PATIENCE, max_retries=0)
    base = base_for(client, profile.model.base)
    if base is None:
        return Said(False, f"it does not fine-tune {profile.model.base}, nor a base of its shape")
    if (wrong := next(settings.problems(profile, base.limits), None)) is not None:
        return Said(False, f"{wrong.key}: {wrong.message}. {wrong.fix}")
    goes_by = f"it goes by {base.model}, beginning with the weights of {base.from_hf_model}"
    why = goes_by if base.from_hf_model else f"it has {base.model}"
    files = next((run.files for run in runs if run.dataset_hash == dataset_hash and TRAINING_FILE in run.files), None)
    if files is None:
        return Said(True, why, note="it prices validated files alone, and none of this dataset lies there yet")
    n_evals = settings.evaluations(profile, base.limits, work.validation_rows > 0)
    arguments = settings.arguments(profile, base.limits)
    try:
        found = pricing.asked_price(client, files, arguments, n_evals, {"model": base.model})
    except LoraTuiError as error:
        return Said(True, why, note=f"no live price: {error.what}")
    day = time.strftime("%Y-%m-%d", time.gmtime())
    step = (
        f"{found.train_tokens:,} tokens trained on and {found.eval_tokens:,} evaluated: {found.price:.2f} USD,"
        f" as it reckons ({day})"
    )
    cost = Figure(low=found.price, high=found.price, unit="USD", source=LIVE, as_of=day, steps=(step,))
    refused = "" if found.allowed else "; it would not let the account start it"
    return Said(found.allowed, f"{why}{refused}", cost)
