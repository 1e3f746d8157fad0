"""A session becomes training candidates: one segment per request of the user.

A turn of three words or fewer ("continue", "yes please"), and a longer one that only says to go on, asks nothing by
itself and stays with the segment before it. What is no candidate is kept with the reason: nothing done and nothing said
('empty'), the provider failed ('error'), the user stopped it ('interrupted'), the model refused ('refused'), or it made
the same call with the same result three times running ('looping').
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from lora_tui.curation.actions import Action, actions
from lora_tui.curation.classify import Classifier
from lora_tui.curation.outcome import Course, Outcome, Signal, continues, refuses
from lora_tui.curation.redact import Redactor
from lora_tui.curation.redact_rules import Rule
from lora_tui.curation.verdict import Verdict
from lora_tui.sources.model import Message, ToolCall, as_sent, own_words, text_of
from lora_tui.sources.words import word_count

VERSION = 4  # raise it when the same messages would give other segments

_SHORT_TURN_WORDS = 3
_LOOP = 3  # the same call with the same output this many times running
_CALLS_LOOP = 8  # whatever the outputs are
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
    outcome: Outcome
    signals: list[Signal]  # why the outcome is what it is


def belongs(message: Message) -> bool:
    """Whether a message may be part of an example: not undone, not the user's own command, not a compaction."""
    return not message.about.reverted and not message.about.origin


def segments(
    messages: Iterable[Message],
    source: str = "",
    off: frozenset[str] = frozenset(),
    known: dict[str, Rule] | None = None,
) -> Iterator[Segment]:
    """Cut a session's messages (in order) into segments. Memory: one segment's counts.

    source: whose session it is; off: redaction rules that are switched off; known: the session's secrets by value, to
    which those are added that are found. One may stand alone before the message that tells what it is: whoever wants
    it replaced there too asks once more with what was found.

    A segment is given out when the next one has begun: what the user says then is a sign of how it went.
    """
    current: _Open | None = None
    known = {} if known is None else known
    for seq, message in enumerate(messages):
        if message.about.origin in _BREAKS and current is not None:
            yield current.close()
            current = None
        if not belongs(message):
            if current is not None:
                current.left_out(message)
            continue
        if message.role == "user" and _opens(message, current):
            if current is not None:
                yield current.close(own_words(message))
            current = _Open(seq, message, source, off, known)
        if current is not None:
            current.add(seq, message)
    if current is not None:
        yield current.close()


def _opens(message: Message, current: _Open | None) -> bool:
    said = own_words(message)
    words = word_count(said)
    if current is None:
        return words > 0
    return words > _SHORT_TURN_WORDS and not continues(said)


class _Open:
    """The segment that is being collected."""

    def __init__(self, seq: int, message: Message, source: str, off: frozenset[str], known: dict[str, Rule]) -> None:
        self.first_seq = self.last_seq = seq
        self.native_id = message.about.native_id or str(seq)
        self.asked = own_words(message)  # as it was typed
        self.request = self.answer = ""
        self.agent = message.about.agent
        self.model = ""
        self.turns = self.characters = self.created = 0
        self.interrupted = self.failed = self.acted = self.called = False
        self.calls: list[int] = []
        self.repeated, self.last_call = 0, ("", "")
        self.same, self.last_output = 0, ""  # outputs of the repeated call, and the one that came last
        self.open_repeats: set[str] = set()  # ids of its calls whose output is still to come
        self.looping = False
        self.search: list[str] = []
        self.room = _SEARCH_CHARACTERS
        self.hash = hashlib.blake2b(digest_size=16)
        self.classifier = Classifier()
        self.course = Course(source)
        self.redactor = Redactor(off, known)

    def add(self, seq: int, message: Message) -> None:
        self.last_seq = seq
        self.created = max(self.created, message.about.created)
        self.hash.update(msgspec.json.encode(as_sent(message)))
        for call in message.tool_calls:
            self._identify(call)
        message = self.redactor.message(message)  # from here on it goes into lists, evidence and the search index
        text = text_of(message)
        self.characters += len(text)
        done = actions(message)
        self.classifier.add(message, done)
        self.course.add(message, done)
        if message.role == "assistant":
            self._answer(message, text, done)
        elif message.role == "tool":
            self._output(message.tool_call_id, text)
        elif message.role == "user":
            self.request = self.request or own_words(message)
            self._remember(own_words(message))

    def left_out(self, message: Message) -> None:
        """A message within the segment that is no part of it."""
        if message.about.reverted and message.role == "assistant":
            self.course.undone()
        self.failed = self.failed or message.about.origin == "error"

    def _answer(self, message: Message, text: str, done: list[Action]) -> None:
        about = message.about
        self.turns += 1
        self.model = about.model or self.model
        self.interrupted = about.interrupted or about.error == "MessageAbortedError"
        self.failed = bool(about.error) and not self.interrupted
        self.answer = text if text.strip() else self.answer
        self.acted = self.acted or any(one.edits or one.kind == "command" for one in done)
        self.called = self.called or bool(done)
        self._remember(text)
        for call, one in zip(message.tool_calls, done, strict=True):
            arguments = call.function.arguments
            self.characters += len(arguments)
            self._remember(arguments)
            if not one.waits:
                self._repeat(call)

    def _repeat(self, call: ToolCall) -> None:
        this = (call.function.name, call.function.arguments)
        if this != self.last_call:
            self.repeated = self.same = 0
            self.open_repeats.clear()
        self.repeated += 1
        self.last_call = this
        self.open_repeats.add(call.id)
        self.looping = self.looping or self.repeated >= _CALLS_LOOP

    def _output(self, call_id: str, text: str) -> None:
        """A test that is run again, or a wait for something, has another output each time; a loop has not."""
        if call_id not in self.open_repeats:
            return
        self.open_repeats.discard(call_id)
        self.same = self.same + 1 if self.same and text == self.last_output else 1
        self.last_output = text
        self.looping = self.looping or self.same >= _LOOP

    def _identify(self, call: ToolCall) -> None:
        """Number a call by what was asked and called: a fork's copy gets the same number."""
        text = "\0".join((self.asked, call.id, call.function.name, call.function.arguments))
        digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
        self.calls.append(int.from_bytes(digest, "big", signed=True))

    def _remember(self, text: str) -> None:
        if text and self.room > 0:
            self.search.append(text[: self.room])
            self.room -= len(text)

    def _dropped(self) -> str:
        """Why this is no candidate; '' when it is one."""
        if self.redactor.blocked:
            return self.redactor.blocked
        if self.interrupted:
            return "interrupted"
        if self.failed and not self.acted and not self.answer:
            return "error"
        if not self.acted and not self.answer:
            return "empty"
        if self.looping:
            return "looping"
        return "refused" if not self.called and refuses(self.answer) else ""

    def close(self, next_words: str = "") -> Segment:
        """The finished segment. `next_words`: what the user said after it."""
        findings, secrets = dict(self.redactor.findings), self.redactor.secrets
        if next_words:
            self.course.next_turn(self.redactor.text(next_words))
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
            dropped=self._dropped(),
            findings=findings,
            secrets=secrets,
            outcome=self.course.outcome(),
            signals=self.course.signals(),
        )
