"""Whether a model would learn to stop: what the last token is of every turn that is trained on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named


class Endings:
    """Looks at the end of every trained turn.

    stops: ids at which generation ends, of the tokenizer and of the base's generation_config.
    """

    def __init__(self, tokenizer: Any, stops: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._stops = frozenset(stops)
        self._special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._blank: dict[int, bool] = {}
        self._endless = Named()
        self._other = Named()
        self._others: set[str] = set()

    def see(self, identity: str, ids: NDArray[np.int64], trained: NDArray[np.bool_]) -> None:
        """A row as it is trained on: `trained` says which of its ids carry loss."""
        ends = np.flatnonzero(trained & ~np.append(trained[1:], False))
        for end in ends.tolist():
            last = self._last(ids, trained, end)
            if last in self._stops:
                continue
            if last in self._special:
                self._others.add(str(self._tokenizer.convert_ids_to_tokens(last)))
                self._other.add(identity)
            else:
                self._endless.add(identity)

    def _last(self, ids: NDArray[np.int64], trained: NDArray[np.bool_], end: int) -> int:
        """The token the turn ends with, before the line break that templates write after it; -1: none."""
        while end >= 0 and trained[end]:
            number = int(ids[end])
            if number not in self._blank:
                self._blank[number] = not self._tokenizer.decode([number], skip_special_tokens=False).strip()
            if not self._blank[number]:
                return number
            end -= 1
        return -1

    def findings(self) -> list[Finding]:
        """No end of turn is an error; one that nothing stops at is a warning."""
        return self._endless.finding(
            "error",
            "no-end-of-turn",
            "{rows} [teaches|teach] answers without an end-of-turn token: the model would not learn to stop",
            "Use the instruct variant of the base, or correct its chat template: each answer must end with eos.",
        ) + self._other.finding(
            "warning",
            "end-of-turn-is-not-eos",
            f"{{rows}} [ends|end] answers with {', '.join(sorted(self._others))}, which is neither the tokenizer's eos "
            "nor in generation_config: whoever serves the model must be told to stop there",
            "Add the token to eos_token_id in the base's generation_config.json.",
        )
