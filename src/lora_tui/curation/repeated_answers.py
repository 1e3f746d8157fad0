"""Answers that were given word for word to several requests: a model would learn the phrase, not the work.

Near-duplicates compare request and answer together; a stock answer hides there behind the requests it was given to.
"""

from __future__ import annotations

import hashlib

import msgspec

from lora_tui.curation.clusters import stored_messages_of, text_of_example
from lora_tui.workspace.layout import Workspace

_CANDIDATES = "SELECT id, request FROM example WHERE dropped IS NULL ORDER BY id"


class RepeatedAnswer(msgspec.Struct, frozen=True):
    """Examples whose answers differ in white space at most."""

    ids: list[int]
    requests: list[str]
    characters: int  # of the answer


def repeated_answers(workspace: Workspace) -> list[RepeatedAnswer]:
    """Every answer given more than once, the most frequent first. Reads each candidate once: about 0.1 ms each."""
    groups: dict[bytes, list[tuple[int, str]]] = {}
    sizes: dict[bytes, int] = {}
    for identity, request in workspace.connection().execute(_CANDIDATES).fetchall():
        answers = [message for message in stored_messages_of(workspace, identity) if message.role == "assistant"]
        words = " ".join(text_of_example(answers).split())
        if not words:
            continue
        key = hashlib.blake2b(words.encode(errors="replace"), digest_size=12).digest()
        groups.setdefault(key, []).append((identity, request))
        sizes[key] = len(words)
    found = [
        RepeatedAnswer([identity for identity, _ in group], [request for _, request in group], sizes[key])
        for key, group in groups.items()
        if len(group) > 1
    ]
    return sorted(found, key=lambda answer: (-len(answer.ids), answer.ids))
