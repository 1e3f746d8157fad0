"""What the workspace's search index knows: which candidates mention a term, and how rare it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from lora_tui.verify.lessons.terms import Term, everyday, variants
from lora_tui.workspace.layout import Workspace

_FEW = 50  # candidates; in fewer nothing can be told from how many mention a term


class Held(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A candidate of the workspace; there is one of each."""

    id: int
    language: str
    decision: str  # '' for none
    outcome: str
    cluster: int


class Pool:
    """The candidates of a workspace by the terms they mention; each term is looked up once.

    The index holds the first 4,000 characters of what was said and called in an example.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._connection = workspace.connection()
        self._by_doc = {doc: Held(*rest) for doc, *rest in self._connection.execute(_HELD)}
        self._found: dict[tuple[str, ...], tuple[Held, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_doc)

    def mentioning(self, term: Term) -> Collection[Held]:
        """The candidates that mention it, whatever was decided about them."""
        known = self._found.get(term.words)
        if known is None:
            docs = self._connection.execute(
                "SELECT rowid FROM example_text WHERE example_text MATCH ?", (_query(term),)
            )
            known = tuple(self._by_doc[doc] for (doc,) in docs if doc in self._by_doc)
            self._found[term.words] = known
        return known

    def leave_out(self, ids: Collection[int]) -> None:
        """Do as if these candidates were not there."""
        if not ids:
            return
        self._by_doc = {doc: held for doc, held in self._by_doc.items() if held.id not in ids}
        self._found = {
            words: tuple(item for item in found if item.id not in ids) for words, found in self._found.items()
        }

    def is_common(self, term: Term) -> bool:
        """Whether so many candidates mention it that it tells nothing."""
        return len(self) >= _FEW and len(self.mentioning(term)) > len(self) / 5

    def undecided(self, term: Term, language: str) -> Iterator[Held]:
        """The candidates of a language ('': of any) that mention it and that nobody has decided about."""
        return (held for held in self.mentioning(term) if not held.decision and language in ("", held.language))

    def count(self, term: Term, language: str, decision: str) -> int:
        """Candidates of a language ('': of any) with this decision that mention it; decision '': with none."""
        return sum(held.decision == decision and language in ("", held.language) for held in self.mentioning(term))


def _query(term: Term) -> str:
    r"""The FTS5 query for it. Code that was written is indexed as JSON has it: a line begins with the n of its \n."""
    asked = []
    for first, *rest in variants(term.words):
        heads = [first] if f"n{first}" in everyday() or len(first) < 3 else [first, f"n{first}"]
        asked += [f'"{" ".join((head, *rest))}"' for head in heads]
    return " OR ".join(asked)


_HELD = """
SELECT doc, id, coalesce(human_language, language), coalesce(decision, ''), outcome, coalesce(cluster, 0)
FROM example WHERE dropped IS NULL AND doc IS NOT NULL
"""
