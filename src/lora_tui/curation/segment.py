"""A session becomes training candidates: one segment per request of the user.

A turn of three words or fewer ("continue", "yes please") asks nothing by itself and stays with the segment before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from lora_tui.curation.classify import Classifier, Verdict
from lora_tui.curation.redact import Redactor
from lora_tui.sources.model import Message, as_sent, own_words, text_of

VERSION = 2  # raise it when the same messages would give other segments

_SHORT_TURN_WORDS = 3
_BREAKS = ("compaction", "subtask")  # what the model says next answers these, not the request before them
_SEARCH_CHARACTERS = 4_000
_REQUEST_CHARACTERS = 200


class Segment(msgspec.Struct, frozen=True):
    """One candidate: messages first_seq … last_seq of its session, without those `belongs` refuses."""

    native_id: str
    first_seq: int
    last_seq: int
    key: str  # hash of what was sent and answered
    request: str
    verdict: Verdict
    agent: str
    model: str
    turns: int
    characters: int
    created: int
    calls: list[int]  # one number per tool call; the same call of the same request gives the same number
    search: str  # what full-text search looks at
    dropped: str  # why it is no candidate; empty if it is one
    findings: dict[str, int]  # redaction rule -> how often it applied
    secrets: int  # how many of them are secrets


def belongs(message: Message) -> bool:
    """Whether a message may be part of an example: not undone, not the user's own command, not a compaction."""
    return not message.about.reverted and not message.about.origin


def segments(messages: Iterable[Message]) -> Iterator[Segment]:
    """Cut a session's messages (in order) into segments. Memory: the counts of one segment."""
    current: _Open | None = None
    for seq, message in enumerate(messages):
        if message.about.origin in _BREAKS and current is not None:
            yield current.close()
            current = None
        if not belongs(message):
            continue
        if message.role == "user" and _opens(message, current):
            if current is not None:
                yield current.close()
            current = _Open(seq, message)
        if current is not None:
            current.add(seq, message)
    if current is not None:
        yield current.close()


def _opens(message: Message, current: _Open | None) -> bool:
    words = own_words(message).split()
    return bool(words) and (current is None or len(words) > _SHORT_TURN_WORDS)


class _Open:
    """The segment that is being collected."""

    def __init__(self, seq: int, message: Message) -> None:
        self.first_seq = self.last_seq = seq
        self.native_id = message.about.native_id or str(seq)
        self.request = ""
        self.agent = message.about.agent
        self.model = ""
        self.turns = self.characters = self.created = 0
        self.answered = self.interrupted = False
        self.calls: list[int] = []
        self.search: list[str] = []
        self.room = _SEARCH_CHARACTERS
        self.hash = hashlib.blake2b(digest_size=16)
        self.classifier = Classifier()
        self.redactor = Redactor()

    def add(self, seq: int, message: Message) -> None:
        self.last_seq = seq
        self.created = max(self.created, message.about.created)
        self.classifier.add(message)
        self.hash.update(msgspec.json.encode(as_sent(message)))
        message = self.redactor.message(message)  # from here on it goes into lists and the search index
        text = text_of(message)
        self.characters += len(text)
        if message.role == "assistant":
            self._answer(message, text)
        elif message.role == "user":
            self.request = self.request or own_words(message)
            self._remember(own_words(message))

    def _answer(self, message: Message, text: str) -> None:
        self.turns += 1
        self.model = message.about.model or self.model
        self.interrupted = message.about.interrupted or message.about.error == "MessageAbortedError"
        self.answered = self.answered or bool(text.strip()) or bool(message.tool_calls)
        self._remember(text)
        for call in message.tool_calls:
            arguments = call.function.arguments
            self.characters += len(arguments)
            self._remember(arguments)
            call_text = "\0".join((self.request, call.id, call.function.name, arguments))
            digest = hashlib.blake2b(call_text.encode(errors="replace"), digest_size=8).digest()
            self.calls.append(int.from_bytes(digest, "big", signed=True))

    def _remember(self, text: str) -> None:
        if text and self.room > 0:
            self.search.append(text[: self.room])
            self.room -= len(text)

    def close(self) -> Segment:
        dropped = "interrupted" if self.interrupted else "" if self.answered else "empty"
        if self.redactor.blocked:
            dropped = self.redactor.blocked
        return Segment(
            native_id=self.native_id,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            key=self.hash.hexdigest(),
            request=" ".join(self.request[: 4 * _REQUEST_CHARACTERS].split())[:_REQUEST_CHARACTERS],
            verdict=self.classifier.verdict(),
            agent=self.agent,
            model=self.model,
            turns=self.turns,
            characters=self.characters,
            created=self.created,
            calls=sorted(set(self.calls)),
            search="\n".join(self.search),
            dropped=dropped,
            findings=dict(self.redactor.findings),
            secrets=self.redactor.secrets,
        )
