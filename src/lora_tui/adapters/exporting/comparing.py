"""Whether an export says what its source says: token for token where nothing was rounded, else how near."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.jobs.reference import Said, Written
from lora_tui.workspace.errors import LoraTuiError

# Nats by which a token must lead for its loss to count: what rounding of weights to a type may move.
TIES = {"f32": 0.02, "f16": 0.1, "bf16": 0.3}
# The same for types that round more, of first tokens only; and how far their log probabilities may lie apart.
ROUGH = {"q8": 0.5, "q6": 0.7, "q5": 1.0, "q4": 1.5}
_ROUGHEST = 2.5


class Compared(msgspec.Struct, frozen=True):
    """What was compared, as counts of those that are equal; `words` says it."""

    texts: int = 0
    texts_equal: int = 0
    answers: int = 0
    answers_equal: int = 0  # every token, or up to one that led by less than rounding moves
    first_tokens_equal: int = 0
    logprob_difference: float = 0.0  # largest of a first token that is the same, in nats

    @property
    def words(self) -> str:
        """One line for people."""
        parts = [f"tokens of {self.texts_equal} of {self.texts} texts"] if self.texts else []
        if self.answers:
            parts.append(f"greedy text of {self.answers_equal} of {self.answers} prompts")
            parts.append(f"first tokens of {self.first_tokens_equal}")
        near = f"; first tokens differ by at most {self.logprob_difference:.3f} nats" if self.answers else ""
        return f"equal: {', '.join(parts)}{near}"


class Heard(msgspec.Struct, frozen=True):
    """An answer of the export: its tokens (its text where it gives none), and the first one's log probability."""

    tokens: tuple[int, ...] = ()
    text: str = ""
    logprob: float | None = None


def compare(said: Said, texts: Sequence[Sequence[int]], heard: Sequence[Heard], kind: str) -> Compared:
    """Hold an export of the type `kind` against its source. Raises LoraTuiError where it says something else.

    A type that TIES has must write the same tokens. Others round more: their first tokens must be the same and about as
    likely, or have led by no more than such rounding moves; one at least must be the same.
    """
    equal = sum(list(a) == list(b) for a, b in zip(said.texts, texts, strict=True)) if texts else 0
    if equal < len(texts):
        index = next(at for at, (a, b) in enumerate(zip(said.texts, texts, strict=True)) if list(a) != list(b))
        raise LoraTuiError(
            f"the export cuts {len(texts) - equal} of {len(texts)} texts into other tokens: "
            f"text {index + 1} into {list(texts[index])[:12]} and not {list(said.texts[index])[:12]}",
            fix="Its tokenizer is not converted rightly: please report this.",
        )
    tie = TIES.get(kind.lower(), 0.0)
    same = sum(_is_same(a, b, said.stops, tie) for a, b in zip(said.answers, heard, strict=True))
    first = [_starts_same(a, b, said.stops) for a, b in zip(said.answers, heard, strict=True)]
    apart = [
        abs(a.logprobs[0] - b.logprob)
        for a, b, is_same in zip(said.answers, heard, first, strict=True)
        if is_same and a.logprobs and b.logprob is not None
    ]
    found = Compared(
        texts=len(texts),
        texts_equal=equal,
        answers=len(heard),
        answers_equal=same,
        first_tokens_equal=sum(first),
        logprob_difference=max(apart, default=0.0),
    )
    if kind.lower() in TIES:
        is_other = same < len(heard)
    else:
        least = ROUGH.get(kind.lower()[:2], _ROUGHEST)
        led = [
            a.margins[0] if a.margins else 0.0 for a, is_same in zip(said.answers, first, strict=True) if not is_same
        ]
        is_other = max(apart, default=0.0) > least or max(led, default=0.0) > least
    if heard and (not any(first) or is_other):
        raise LoraTuiError(f"the export answers otherwise than its source: {found.words}", fix=_shown(said, heard))
    return found


def _is_same(source: Written, heard: Heard, stops: Sequence[int], tie: float) -> bool:
    if not heard.tokens and heard.text:
        return source.text.strip() == heard.text.strip() or min(source.margins, default=1.0) < tie
    ours, theirs = source.tokens, _without_end(heard.tokens, stops)
    if ours == theirs:
        return True
    at = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return at < len(source.margins) and source.margins[at] < tie


def _starts_same(source: Written, heard: Heard, stops: Sequence[int]) -> bool:
    if not heard.tokens and heard.text:
        return source.text.strip()[:1] == heard.text.strip()[:1]
    return list(source.tokens[:1]) == list(_without_end(heard.tokens, stops)[:1])


def _without_end(tokens: tuple[int, ...], stops: Sequence[int]) -> tuple[int, ...]:
    end = next((at for at, token in enumerate(tokens) if token in stops), len(tokens))
    return tokens[:end]


def _shown(said: Said, heard: Sequence[Heard]) -> str:
    source, other = next(
        (a, b) for a, b in zip(said.answers, heard, strict=True) if not _is_same(a, b, said.stops, 0.0)
    )
    return f"To one prompt the source writes {source.text[:60]!r}, the export {other.text[:60]!r}."
