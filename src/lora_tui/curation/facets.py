"""Which values a condition of the filter can take, and how many examples have each."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from lora_tui.workspace.layout import Workspace

# Each the name of a field of Filter.
Facet = Literal["outcomes", "models", "agents", "tags", "sources", "licences", "directory", "dropped"]

_SESSION = "SELECT session.{0}, count(*) FROM example JOIN session ON session.id = session_id"
_EXAMPLE = "SELECT coalesce({0}, ''), count(*) FROM example"
_QUERIES: dict[Facet, str] = {
    "outcomes": _EXAMPLE.format("outcome"),
    "models": _EXAMPLE.format("model"),
    "agents": _EXAMPLE.format("agent"),
    "tags": _EXAMPLE.format("tags"),
    "sources": _SESSION.format("source"),
    "licences": _SESSION.format("licence"),
    "directory": _SESSION.format("directory"),
    "dropped": _EXAMPLE.format("dropped"),
}


def values(workspace: Workspace, facet: Facet) -> list[tuple[str, int]]:
    """Each value that occurs with its number of candidates, the most frequent first; an empty value is left out.

    For 'dropped': the reasons, with the number of examples that are no candidates for it.
    """
    state = "dropped IS NOT NULL" if facet == "dropped" else "dropped IS NULL"
    found = workspace.connection().execute(f"{_QUERIES[facet]} WHERE {state} GROUP BY 1").fetchall()
    if facet == "tags":
        tags: Counter[str] = Counter()
        for written, number in found:
            for tag in msgspec.json.decode(written):
                tags[tag] += number
        found = list(tags.items())
    return sorted(((value, number) for value, number in found if value), key=lambda item: (-item[1], item[0]))
