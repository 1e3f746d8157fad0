"""The checks a request has to pass before its code becomes an example, in their order."""

from __future__ import annotations

import textwrap

from lora_tui.curation.augment.candidate import Candidate, Written
from lora_tui.curation.augment.candidates import missing_names
from lora_tui.curation.augment.table import table
from lora_tui.sources.code.grammar import grammar_of, parse
from lora_tui.sources.code.quality import Quality, quality
from lora_tui.sources.code.tokens import words

_SHORTEST_FORBIDDEN = 6  # characters


def leaks(candidate: Candidate, request: str, forbidden: tuple[str, ...] = ()) -> bool:
    """Whether the request repeats a run of the answer's tokens, or says what its writer calls forbidden."""
    size = table().limits.leak_tokens
    mine = words(request)
    runs = {tuple(mine[at : at + size]) for at in range(len(mine) - size + 1)}
    body = candidate.body
    if any(tuple(body[at : at + size]) in runs for at in range(len(body) - size + 1)):
        return True
    said = request.lower()
    kept = (phrase.strip().lower() for phrase in forbidden)
    return any(
        len(phrase) >= _SHORTEST_FORBIDDEN and phrase in said and phrase not in _given(candidate) for phrase in kept
    )


def lacks_names(candidate: Candidate, request: str) -> bool:
    """Whether the answer takes more names from nowhere than it may."""
    return len(missing_names(candidate, request)) > table().limits.names_missing


def unparsed(candidate: Candidate) -> bool:
    """Whether the answer does not parse: in its file, where all of it is shown, else against what it replaces."""
    return any(_breaks(candidate, one) for one in candidate.placed.written)


def worded_badly(request: str) -> bool:
    """Whether a request is too short or too long to be one."""
    limits = table().limits
    return not limits.request_words_least <= len(request.split()) <= limits.request_words_most


def _breaks(candidate: Candidate, one: Written) -> bool:
    if not grammar_of(candidate.language, one.path):
        return False
    whole = next((shown.text for shown in candidate.placed.shown if shown.path == one.path and not shown.offset), "")
    if whole and one.old:
        return not _quality(candidate, one, whole.replace(one.old, one.new, 1)).sound(candidate.language)
    if candidate.example == 0:
        return not any(_quality(candidate, one, text).sound(candidate.language) for text in _alone(candidate))
    after = _quality(candidate, one, one.new)
    if after.sound(candidate.language):
        return False
    before = _quality(candidate, one, one.old)  # a piece of a class need not parse by itself: no worse than before
    return after.errors > before.errors + after.size // 100 or after.missing > before.missing


def _alone(candidate: Candidate) -> list[str]:
    """The code by itself, and as a member of a type, without which a method need not parse."""
    code = textwrap.dedent(candidate.code)
    member = {
        "rust": "impl Wrapped",
        "swift": "class Wrapped",
        "typescript": "class Wrapped",
        "javascript": "class Wrapped",
    }
    head = member.get(candidate.language)
    return [code, f"{head} {{\n{code}\n}}\n"] if head else [code]


def _quality(candidate: Candidate, one: Written, code: str) -> Quality:
    return quality(parse(grammar_of(candidate.language, one.path), code.encode()).root_node)


def _given(candidate: Candidate) -> str:
    """What a request may always say: where the code goes and how it is called."""
    return f"{candidate.path} {candidate.name} {candidate.parent} {candidate.signature}".lower()
