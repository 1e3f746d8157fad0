"""Whether a row is too much like what a suite asks or expects: then a good report would prove nothing.

Held against the suites is what a user and the assistant say and what is written; what a system prompt or a tool's
output shows is not learned. curation/suites.py says what counts as too much alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lora_tui.curation.suites import Contact, Index, fingerprints, texts
from lora_tui.dataset.model import Row
from lora_tui.dataset.written import pieces
from lora_tui.workspace.layout import Workspace


class Prompts:
    """The suites to hold rows against."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        """known: (suite, text) of every prompt and reference: plain data, so that it can travel in a job."""
        self.texts = tuple(known)
        self._index = Index(self.texts)

    @classmethod
    def of(cls, workspace: Workspace) -> Prompts:
        """Those of every suite, shipped and the workspace's own."""
        return cls(texts(workspace))

    def like(self, row: Row) -> Contact | None:
        """The text of a suite that a row is most like, if it is too much like any."""
        if not self.texts:
            return None
        requests = [message.content for message in row.messages if message.role == "user"]
        answers = [message.content for message in row.messages if message.role == "assistant"]
        apart = [piece for piece in pieces(row) if piece.text]
        requests += [piece.text for piece in apart if piece.kind == "request"]
        answers += [piece.text for piece in apart if piece.kind == "code"]
        return self._index.like(list(dict.fromkeys(requests)), list(dict.fromkeys(answers)))

    def suite_like(self, row: Row) -> str:
        """The suite it is too much like, '' where there is none."""
        found = self.like(row)
        return found.suite if found is not None else ""

    def fingerprint(self) -> dict[str, str]:
        """For every suite a hash of its texts, as a manifest keeps them."""
        return fingerprints(self.texts)


def changed(known: Mapping[str, str], workspace: Workspace) -> list[str]:
    """The suites that are new, or ask something else, since a manifest noted these hashes."""
    now = fingerprints(texts(workspace))
    return [name for name, mark in now.items() if known.get(name) != mark]
