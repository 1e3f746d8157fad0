"""Tokens that should not be there: a second beginning, and what the tokenizer does not know."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_tui.jobs.audit import Finding
from lora_tui.worker.findings.named import Named


class OddTokens:
    """Looks at the ids of every row."""

    def __init__(self, tokenizer: Any) -> None:
        self._bos = tokenizer.bos_token_id
        unknown = tokenizer.unk_token_id
        # GPT-2 and its like say <|endoftext|> for all of them; it is not written for what is unknown.
        used = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        self._unknown = None if unknown in used else unknown
        self._double = Named()
        self._lost = Named()
        self._pieces = 0

    def see(self, identity: str, ids: NDArray[np.int64]) -> None:
        """A row as it is trained on."""
        if self._bos is not None and ids.size > 1 and ids[0] == self._bos == ids[1]:
            self._double.add(identity)
        if self._unknown is not None and (lost := int((ids == self._unknown).sum())):
            self._pieces += lost
            self._lost.add(identity)

    def findings(self) -> list[Finding]:
        """Two beginnings are an error, unknown pieces a warning."""
        return self._double.finding(
            "error",
            "double-bos",
            "{rows} [begins|begin] with two beginning-of-text tokens, which the model never sees when it is used",
            "The template writes it: remove it from the texts, or from the template.",
        ) + self._lost.finding(
            "warning",
            "unknown-tokens",
            f"{{rows}} [holds|hold] {self._pieces:,} piece(s) that the tokenizer does not know: all the same to it",
            "Leave these rows out, or use a base with a byte-level tokenizer.",
        )
