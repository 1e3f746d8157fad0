"""What a prompt is about: the words, names and phrases that tell it from other prompts.

Code is known by its shape (`tokio::select!`, `X-Request-Id`, `snake_case`) or by the backticks around it, names by
their capitals inside a sentence, phrases as two telling words in a row. Words are cut as the workspace's search index
cuts them, so that both find the same. What is everyday talk stands in everyday.txt.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs.checks import known_kind

Kind = Literal["code", "name", "phrase", "word"]
Words = tuple[str, ...]

MOST = 80  # terms of one prompt: long ones show whole files

_PLURAL = 4  # letters of a word that may stand with an s, or without
_KIND_WEIGHTS: dict[Kind, float] = {"code": 1.5, "name": 1.3, "phrase": 1.2, "word": 1.0}
_EXPECTED = 1.5  # times, where the answer was expected to have it and did not

_EVERYDAY = Path(__file__).with_name("everyday.txt")
_SPAN = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.S)
_CHUNK = re.compile(
    r"[A-Za-z]\w*(?:-[A-Z]\w*)+"  # X-Request-Id
    r"|[^\W\d]\w*(?:(?:::|\.(?=[^\W\d])|#(?=[^\W\d]))\w+)*(?:!(?=[(\[{]|$))?"  # a word, a path, a macro's call
)
_COMPOUND = re.compile(r"::|[.#]\w|\w!$|-|[^\W_]_[^\W_]|[a-z0-9][A-Z]")
_DEFINES = frozenset(
    {"fn", "def", "func", "function", "struct", "enum", "class", "trait", "interface", "type", "module", "protocol"}
    | {"actor", "method", "named", "called", "extension", "const", "macro", "record", "attribute", "command"}
)
_PROSE = ("llm-rubric", "similar")  # expectations whose value is no code
_WITHOUT_WORDS = ("is-json", "contains-json", "latency", "cost", "word-count", "human", "select-best")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_PART = re.compile(rf"[a-z][a-z-]* (?:{_QUOTED}|\[(?:(?:{_QUOTED})(?:, )?)*\])")
_CLASSES = re.compile(r"\\[A-Za-z](?:\{[\d,]+\})?|\(\?[a-z:=!<]+")  # \b, \w{3}, (?: of a regular expression


class Term(msgspec.Struct, frozen=True):
    """`words`: in lower case, as an index has them. `factor`: how much it tells, beside how rare it is."""

    text: str
    words: Words
    kind: Kind
    factor: float
    own: bool = False  # looks like a name that the prompt itself gives: nothing else can be expected to mention it


def terms(prompt: str, expectations: Iterable[str] = (), language: str = "") -> tuple[Term, ...]:
    """The telling terms of a prompt and of the expectations its answer missed, at most MOST, in the order found.

    expectations: in the words of a report's checks (contains 'tokio::select!'). Those that forbid something are
    passed over: what must not be written is not missing.
    """
    found: dict[Words, Term] = {}
    none = everyday() | {language.lower()}
    texts = [(text, code, _EXPECTED) for said in expectations for text, code in _expected(said)]
    for text, code, factor in (*texts, (prompt, False, 1.0)):
        for term in _in(text, code, none):
            known = next((found[one] for one in variants(term.words) if one in found), None)
            if known is None:
                found[term.words] = msgspec.structs.replace(term, factor=term.factor * factor)
            elif term.own and not known.own:
                found[known.words] = msgspec.structs.replace(known, own=True)
    given = {term.words[0] for term in found.values() if term.own}
    return tuple(
        msgspec.structs.replace(term, own=term.own or term.words[0] in given) for term in list(found.values())[:MOST]
    )


@cache
def everyday() -> frozenset[str]:
    """The words of everyday.txt."""
    lines = _EVERYDAY.read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def cut(text: str) -> Words:
    """A text's words as the search index has them."""
    return tuple(re.findall(r"\w+", text.lower()))


def variants(words: Words) -> tuple[Words, ...]:
    """The term, and with its last word in the plural or singular: an s more or less."""
    last = words[-1]
    if len(last) < _PLURAL or not last.isalpha():
        return (words,)
    other = last[:-1] if last.endswith("s") and not last.endswith("ss") else f"{last}s"
    return words, (*words[:-1], other)


class _Piece(msgspec.Struct, frozen=True):
    text: str
    start: int
    end: int
    quoted: bool  # in backticks
    alone: bool  # the only chunk there
    begins: bool  # a sentence


def _in(text: str, code: bool, none: frozenset[str]) -> Iterator[Term]:
    """The terms of one text; `code`: all of it is."""
    before: tuple[_Piece, Term] | None = None
    previous = ""
    for piece in _pieces(text, code):
        term = _term(piece, none, previous)
        previous = piece.text.lower()
        if term is None:
            before = None
            continue
        yield term
        if before is not None and not (piece.quoted and before[0].quoted) and len(term.words) == 1:
            last, one = before
            between = text[last.end : piece.start].strip("`")
            if between == " " and len(one.words) == 1:
                factor = _KIND_WEIGHTS["phrase"] * max(one.factor, term.factor)
                said = f"{last.text} {piece.text}"
                yield Term(said, (*one.words, *term.words), "phrase", factor, one.own or term.own)
        before = piece, term


def _pieces(text: str, code: bool) -> Iterator[_Piece]:
    at = 0
    spans = [(0, len(text), True)] if code else []
    for span in () if code else _SPAN.finditer(text):
        group = 1 if span[1] is not None else 2
        spans += [(at, span.start(), False), (span.start(group), span.end(group), True)]
        at = span.end()
    if not code:
        spans.append((at, len(text), False))
    for start, end, quoted in spans:
        chunks = list(_CHUNK.finditer(text, start, end))
        for chunk in chunks:
            before = text[: chunk.start()].rstrip(" `\"'(")[-1:]
            alone = quoted and len(chunks) == 1
            yield _Piece(chunk[0], chunk.start(), chunk.end(), quoted, alone, before in ("", ".", "!", "?", ":", "\n"))


def _term(piece: _Piece, none: frozenset[str], previous: str) -> Term | None:
    """What this piece says; None for everyday words and single letters."""
    words = cut(piece.text)
    telling = [word for word in words if len(word) > 1 and word not in none and not word.isdigit()]
    if not telling:
        return None
    compound = _COMPOUND.search(piece.text) is not None
    kind: Kind = "word"
    if compound or piece.alone:
        kind = "code"
    elif piece.text[0].isupper() and (piece.quoted or not piece.begins):
        kind = "name"
    elif len(piece.text) < 3:
        return None
    own = kind != "word" and (previous in _DEFINES or re.search(r"[^\W_]_[^\W_]", piece.text) is not None)
    return Term(piece.text, words, kind, _KIND_WEIGHTS[kind], own)


def _expected(said: str) -> Iterator[tuple[str, bool]]:
    """(text, whether it is code) of what an expectation wants to see."""
    known = known_kind(said.partition(" ")[0])
    for part in [said] if known else _PART.findall(said):  # a set: which of its expectations were missed is not told
        yield from _wanted(part)


def _wanted(said: str) -> Iterator[tuple[str, bool]]:
    kind, _, value = said.partition(" ")
    if not known_kind(kind) or kind.startswith(("not-", "x-")) or kind in _WITHOUT_WORDS:
        return
    try:
        given: object = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        given = value
    for text in _strings(given):
        yield _CLASSES.sub(" ", text) if kind == "regex" else text, kind not in _PROSE


def _strings(given: object) -> Sequence[str]:
    if isinstance(given, str):
        return [given]
    return [one for one in given if isinstance(one, str)] if isinstance(given, list | tuple) else []
