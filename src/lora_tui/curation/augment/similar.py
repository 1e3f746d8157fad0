"""What is there already: code of other examples."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.filters import Filter
from lora_tui.curation.reading import example
from lora_tui.sources.code.tokens import words
from lora_tui.workspace.layout import Workspace

_SHINGLE = 5
_INDEXED = 4  # one shingle of so many finds the texts to compare with
_WRITING = {"edit", "write", "apply_patch", "multiedit", "Edit", "Write", "MultiEdit"}


def shingles(text: str, size: int = _SHINGLE) -> set[int]:
    """Hashes of every `size` tokens in a row; of a shorter text, of all its tokens."""
    found = words(text.lower())
    if not found:
        return set()
    runs = [" ".join(found[at : at + size]) for at in range(max(1, len(found) - size + 1))]
    return {int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs}


class Seen:
    """Texts, asked for the one most like a new one."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, set[int]]] = []
        self._by_shingle: dict[int, list[int]] = defaultdict(list)

    def add(self, text: str, name: str) -> None:
        """Remember a text under a name."""
        found = shingles(text)
        for shingle in self._keys(found):
            self._by_shingle[shingle].append(len(self._texts))
        self._texts.append((name, found))

    def like(self, text: str, least: float, without: str = "") -> str:
        """The name of a text with at least this Jaccard similarity, '' when there is none."""
        mine = shingles(text)
        near = {number for shingle in self._keys(mine) for number in self._by_shingle.get(shingle, ())}
        for number in sorted(near):
            name, theirs = self._texts[number]
            if name != without and mine and len(mine & theirs) / len(mine | theirs) >= least:
                return name
        return ""

    def _keys(self, found: set[int]) -> Sequence[int]:
        return [one for one in found if one % _INDEXED == 0] or sorted(found)[:8]


def written_code(workspace: Workspace, language: str) -> Seen:
    """The code that the examples of a language write: accepted ones and those not decided about."""
    seen = Seen()
    for identity in examples.ids(workspace, Filter(languages=(language,))):
        found = example(workspace, identity)
        if found.row.decision == "reject":
            continue
        for message in found.messages:
            for call in message.tool_calls:
                if call.function.name in _WRITING:
                    for text in _strings(call.function.arguments):
                        seen.add(text, str(identity))
    return seen


def _strings(arguments: str) -> Iterator[str]:
    try:
        data = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return
    stack = [data]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += [value for key, value in one.items() if key not in ("oldString", "old_string", "filePath")]
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, str) and len(words(one)) >= _SHINGLE:
            yield one
