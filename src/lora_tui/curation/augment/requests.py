"""What a model is told about a piece of code, what it answers, and the requests made without one."""

from __future__ import annotations

import hashlib
import re

import msgspec

from lora_tui.curation.augment.candidate import Candidate
from lora_tui.curation.augment.table import table

TEMPLATE = "template"  # as the model of a request that no model wrote

Chat = list[dict[str, str]]

_THOUGHT = re.compile(r"<think(ing)?>.*?</think(ing)?>", re.S)
_MARKS = re.compile(r"^\s*(///?!?|//!|#+!?|/\*\*?|\*/|\*|\"\"\"|''')?[ \t]?|(\*/|\"\"\"|''')\s*$", re.M)
_TAGS = re.compile(  # where prose ends and lists of parameters, examples and sections begin
    r"^\s*(@\w+|:\w+:|- (Parameters?|Returns|Throws)\b|(Args|Returns|Raises|Examples?|Usage|Parameters):|[=#]+ |```).*",
    re.M | re.S,
)
_PRAGMA = re.compile(r"^\s*(rubocop|eslint|swiftlint|noqa|type:|pylint|nolint|go:|frozen_string_literal)\S*.*$", re.M)
_WORDS_SAID = 6  # a doc comment with fewer words says little
_WORDS_MOST = 80  # of a doc comment that a request repeats


class Reply(msgspec.Struct, frozen=True):
    """A request as the model wrote it."""

    intent: str
    prompt: str
    needs_context: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


class Rated(msgspec.Struct, frozen=True):
    """How well a request fits its code, from 1 to 5."""

    rating: int
    why: str = ""


def asks_for_request(candidate: Candidate) -> Chat:
    """The conversation that asks a model to write the request."""
    prompt = table().prompt
    task = {"implement": prompt.implement, "test": prompt.test, "fix": prompt.fix, "refactor": prompt.refactor}
    said = _filled(task[candidate.kind], candidate)
    parts = [f"Language: {candidate.language}. File: {candidate.path}", said]
    if candidate.placed.context and not candidate.before:
        parts.append(f"The assistant is shown:\n{_fenced(candidate.placed.context)}")
    if candidate.before:
        parts.append(f"BEFORE:\n{_fenced(candidate.before)}")
    parts.append(f"{'AFTER' if candidate.before else 'CODE'}:\n{_fenced(candidate.code)}")
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": "\n\n".join(parts)}]


def asks_for_rating(candidate: Candidate, request: str) -> Chat:
    """The conversation that asks a model whether the request can lead to the code."""
    parts = [f"MESSAGE:\n{request}"]
    if candidate.placed.context:
        parts.append(f"SHOWN:\n{_fenced(candidate.placed.context)}")
    parts.append(f"ANSWER, in {candidate.path}:\n{_fenced(candidate.code)}")
    return [{"role": "system", "content": table().rating.system}, {"role": "user", "content": "\n\n".join(parts)}]


def asks_again(chat: Chat, said: str, what: str) -> Chat:
    """The same question once more, after an answer that was not what was asked for."""
    return [*chat, {"role": "assistant", "content": said[:2_000]}, {"role": "user", "content": what}]


def as_reply(text: str) -> Reply | None:
    """The model's request; None when it is not the JSON that was asked for."""
    data = _json(text)
    try:
        reply = msgspec.convert(data, Reply)
    except msgspec.ValidationError:
        return None
    return reply if reply.prompt.strip() else None


def as_rating(text: str) -> Rated | None:
    """The model's rating; None when there is none from 1 to 5."""
    try:
        rated = msgspec.convert(_json(text), Rated, strict=False)
    except msgspec.ValidationError:
        return None
    return rated if 1 <= rated.rating <= 5 else None


def offline(candidate: Candidate) -> tuple[str, int]:
    """A request from name, signature and doc comment, and how well it may fit: 4 with a doc comment, 3 without."""
    texts = table().offline
    said = doc_text(candidate.doc)
    if candidate.kind == "implement":
        documented = len(said.split()) >= _WORDS_SAID
        choices, fit = (texts.documented, 4) if documented else (texts.bare, 3)
    else:
        fit = 3
        choices = {"test": texts.test, "fix": texts.fix, "refactor": texts.refactor}[candidate.kind]
    number = int(hashlib.blake2b(candidate.native_id.encode(), digest_size=4).hexdigest(), 16)
    return _filled(choices[number % len(choices)], candidate, said), fit


def doc_text(doc: str) -> str:
    """A doc comment as prose: without comment marks, tags, examples and orders to linters; its first sentences."""
    plain = _TAGS.sub("", _PRAGMA.sub("", _MARKS.sub("", doc)))
    said: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", " ".join(plain.split())):
        if said and len(" ".join([*said, sentence]).split()) > _WORDS_MOST:
            break
        said.append(sentence)
    text = " ".join(said)
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _filled(template: str, candidate: Candidate, doc: str = "") -> str:
    inside = f" of `{candidate.around}`" if candidate.parent else ""
    values = {
        "what": candidate.what,
        "where": f"{inside} in {candidate.path}",
        "name": candidate.name,
        "signature": candidate.signature,
        "language": candidate.language.capitalize(),
        "doc": doc,
        "path": candidate.path,
        "subject": candidate.subject.rstrip("."),
    }
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), template)


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code.rstrip()}\n{fence}"


def _json(text: str) -> object:
    """The JSON object in an answer that may think aloud first or put a fence around it; None without one."""
    plain = _THOUGHT.sub("", text)
    first, last = plain.find("{"), plain.rfind("}")
    if first < 0 or last < first:
        return None
    try:
        return msgspec.json.decode(plain[first : last + 1])
    except msgspec.DecodeError:
        return None
