"""What a failing prompt teaches about the examples: plain data, and how it reads."""

from __future__ import annotations

import msgspec

_NAMES = {"typescript": "TypeScript", "javascript": "JavaScript", "php": "PHP", "none": ""}


class Failing(msgspec.Struct, frozen=True):
    """A prompt that the fine-tune did not pass. `expectations_missed`: in the words of its checks."""

    prompt: str
    language: str  # '' where the suite names none
    expectations_missed: tuple[str, ...]
    number: int  # in the report, from 1


class Missing(msgspec.Struct, frozen=True):
    """A term of the prompt that few or none of the examples mention which it learned from."""

    term: str  # as the suite writes it
    known: int  # examples of the language, of those it learned from, that mention it
    accepted: int  # accepted ones of the language in the workspace now
    unlabelled: int  # candidates of the language that nobody has decided about


class Near(msgspec.Struct, frozen=True):
    """An example it learned from. `share`: how much of what the prompt is about it mentions, 0 to 1."""

    example: int  # 0: no example of the workspace
    row: str  # id in the dataset version; '' where none was looked at
    request: str
    language: str
    share: float
    shared: tuple[str, ...]  # the most telling terms in common


class Candidate(msgspec.Struct, frozen=True):
    """An undecided example that might help. `reason` says why, for the person who decides."""

    example: int
    request: str
    language: str
    score: float  # to be compared within one prompt
    mentions: tuple[str, ...]
    reason: str


class TooAlike(msgspec.Struct, frozen=True):
    """An undecided example that is too much like a suite to be proposed: learning it would be training on the test."""

    example: int
    request: str
    suite: str
    how: str


class Lesson(msgspec.Struct, frozen=True):
    """Of one failing prompt: what the examples lack, the nearest ones, the candidates (the best first).

    examples: how many of the prompt's language it learned from. learned_from: dataset versions; '' stands for all
    accepted examples, where no version is known.
    """

    number: int
    suite: str
    prompt: str
    language: str
    expectations_missed: tuple[str, ...]
    learned_from: str
    examples: int
    missing: tuple[Missing, ...]
    near: tuple[Near, ...]
    candidates: tuple[Candidate, ...]
    too_alike: tuple[TooAlike, ...] = ()
    note: str = ""  # why something else was looked at than the version it was trained on

    def lacks(self) -> list[str]:
        """What is missing, a sentence each."""
        which = " ".join(
            word for word in ("" if self.learned_from else "accepted", language_name(self.language)) if word
        )
        which += " " if which else ""
        place = f" of {self.learned_from}" if self.learned_from else ""
        if not self.examples:
            return [f"there is no {which}example{place}"]
        of = f"of the {self.examples:,} {which}examples{place}"
        return [
            f"{item.known} {of} mention{'s' if item.known == 1 else ''} {item.term}; {self._elsewhere(item)}"
            for item in self.missing
        ]

    def _elsewhere(self, item: Missing) -> str:
        """Where it could come from."""
        number = item.unlabelled
        open_ones = f"{number:,} unlabelled {'one does' if number == 1 else 'ones do'}"
        if self.learned_from and item.accepted > item.known:
            return f"{item.accepted:,} accepted now: build the dataset again; {open_ones}"
        return open_ones if number else "nor does any unlabelled one"


def language_name(language: str) -> str:
    """As people write it; '' for none."""
    return _NAMES.get(language, language.capitalize())
