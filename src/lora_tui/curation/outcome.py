"""How the work on a request went, from signs that a person can check. Rules: rules/outcome.toml.

What counts is what came after the last edit: a check that failed there outweighs everything, then what the user said
next, then checks that passed and commits. Without any sign the outcome is unknown, and a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from lora_tui.curation.actions import Action, edits_in_text
from lora_tui.curation.outcome_rules import rules
from lora_tui.sources.model import Message, own_words, text_of
from lora_tui.sources.words import word_count

Outcome = Literal["success", "unknown", "complained", "failed"]

VERSION = 2  # raise it when the same messages would give another outcome; the table has its own

_REAL_CODE = {"git": "a commit of the repository's history", "augment": "code of a repository as people wrote it"}

_LOOKED_AT = 20_000  # last characters of an output: results stand at the end
_RESULT_CHARACTERS = 4_000  # and "all passed" at the very end
_WORDS = 240  # first characters of what the user says
_NO = re.compile(r"\W*(?:no|nope)\b[\s,.!-]*", re.IGNORECASE)
_NEXT_COMMAND = re.compile(r"\s*(?:&&|\|\|?|;|\n)\s*")
_HIDES_EXIT = re.compile(r"\||;|&\s*$")  # behind a check: the exit code is another command's


class Signal(msgspec.Struct, frozen=True):
    """One sign; `detail` is what a person reads."""

    name: str  # 'tests passed', 'build failed', 'committed', 'complaint', 'undone', 'no complaint', …
    detail: str


class _Checked(NamedTuple):
    good: bool
    decides: bool
    detail: str


def stamp() -> str:
    """The version of what outcomes are made with."""
    return f"{VERSION}.{rules().version}"


def failed(message: Message, done: Action | None) -> bool:
    """Whether a tool's output says that its call went wrong. Finding nothing (grep) is no failure."""
    about = message.about
    if about.error or about.interrupted:
        return True
    found = rules()
    if about.exit is not None:
        harmless = about.exit == 1 and done is not None and found.harmless.search(done.command)
        return about.exit != 0 and not harmless
    text = text_of(message)
    return found.failing.search(text if len(text) < 800 else text[:400] + text[-400:]) is not None


def invalid(message: Message) -> bool:
    """Whether a tool's output says that there is no such tool, or that it cannot take such arguments."""
    return message.about.error == "invalid" or rules().invalid.search(text_of(message)[:400]) is not None


def continues(words: str) -> bool:
    """Whether a turn only tells the agent to go on, or is the agent's note that it was interrupted."""
    found = rules()
    if found.interruption.match(words):
        return True
    return word_count(words) <= 7 and found.continuing.match(words) is not None


def refuses(answer: str) -> bool:
    """Whether an answer that did nothing else is a refusal."""
    if "`" in answer:  # it names code: an answer about the work
        return False
    return len(answer) <= 600 and rules().refusal.search(answer[:_WORDS]) is not None


class Course:
    """Collects signs message by message; `signals` and `outcome` weigh them. `source`: whose sessions these are."""

    def __init__(self, source: str = "") -> None:
        self._rules = rules()
        self._source = source
        self._open: dict[str, Action] = {}  # calls whose output is still to come
        self._checks: dict[str, _Checked] = {}  # of the last edit
        self._committed = ""
        self._applied: list[str] = []
        self._complaint = self._undone = self._content = ""
        self.edited = False
        self._asked = self._asks_back = False

    def add(self, message: Message, actions: Sequence[Action] = ()) -> None:
        """Take in one message with what each of its calls does."""
        if message.role == "user":
            if self._asked:
                self._said(own_words(message))
            self._asked = True
        elif message.role == "assistant":
            self._open.update((call.id, done) for call, done in zip(message.tool_calls, actions, strict=True))
            self._answer(message)
        elif message.role == "tool":
            done = self._open.pop(message.tool_call_id, None)
            if done is not None:
                self._result(done, message)

    def undone(self) -> None:
        """The user took back messages of this request."""
        self._undone = "messages of this request were undone"

    def next_turn(self, words: str) -> None:
        """Take in what the user said next: a complaint about this request, or none."""
        self._said(words)
        if words and not self._complaint and not self._undone:
            self._content = _short(words)

    def outcome(self) -> Outcome:
        """The weighed signs."""
        deciding = [check for check in self._checks.values() if check.decides]
        if self._source in _REAL_CODE:
            return "success"
        if any(not check.good for check in deciding):
            return "failed"
        if self._complaint or self._undone:
            return "complained"
        return "success" if deciding or self._committed else "unknown"

    def signals(self) -> list[Signal]:
        """The signs themselves: bad ones first."""
        found = [Signal(f"{name} failed", check.detail) for name, check in self._checks.items() if not check.good]
        if self._undone:
            found.append(Signal("undone", self._undone))
        if self._complaint:
            found.append(Signal("complaint", self._complaint))
        found += [Signal(f"{name} passed", check.detail) for name, check in self._checks.items() if check.good]
        if self._source in _REAL_CODE:
            found.append(Signal("committed", _REAL_CODE[self._source]))
        elif self._committed:
            found.append(Signal("committed", _short(self._committed)))
        if self._applied:
            shown = list(dict.fromkeys(self._applied))
            found.append(Signal("applied", _short(", ".join(shown))))
        if self._content:
            found.append(Signal("no complaint", f"next: {self._content}"))
        return found

    def _answer(self, message: Message) -> None:
        """Edits in the text of an answer; whoever applied them noted which, and the commit made of them."""
        about = message.about
        self._asks_back = text_of(message).rstrip().endswith("?")
        if not about.error and (about.diffs or edits_in_text(text_of(message))):
            self._edit()
        self._applied += about.diffs
        if about.commit:
            self._committed = about.commit

    def _said(self, words: str) -> None:
        start = words[:_WORDS]
        if self._asks_back and (answer := _NO.match(start)):
            start = start[answer.end() :]  # to a question, "no" is an answer
        if self._rules.undo.search(start):
            self._undone = _short(words)
        elif self._rules.complaint.search(start):
            self._complaint = _short(words)

    def _edit(self) -> None:
        """Everything that was checked before is about older code; a complaint has been worked on."""
        self.edited = True
        self._checks.clear()
        self._committed = self._complaint = ""

    def _result(self, done: Action, message: Message) -> None:
        if done.edits and not failed(message, done):
            self._edit()
        if not done.command or not self.edited or message.about.interrupted:
            return
        output = text_of(message)[-_LOOKED_AT:]
        self._check(done.command, output, message)
        if (
            self._rules.commit.search(done.command)
            and not failed(message, done)
            and not self._rules.commit_failed.search(output)
        ):
            self._committed = _first_line(output) or done.command

    def _check(self, command: str, output: str, message: Message) -> None:
        about = message.about
        run = [(check, found) for check in self._rules.checks if (found := check.command.search(command))]
        if not run or about.exit in self._rules.not_run_exit or self._rules.not_run.search(output[:2_000]):
            return
        certain = about.exit is not None and not _HIDES_EXIT.search(command[run[-1][1].end() :].split("\n", 1)[0])
        if certain and about.exit == 0:
            failures: list[re.Match[str] | None] = [None] * len(run)
        else:
            failures = [check.failed.search(output) for check, _ in run]
        unclear = not any(failures) and (about.error or (certain and about.exit != 0))  # the last one is to blame
        for position, (check, found) in enumerate(run):
            said = failures[position]
            good = False if said or (unclear and position == len(run) - 1) else None
            if good is None and not (certain and about.exit != 0):
                said = check.passed.search(output[-_RESULT_CHARACTERS:])
                good = True if said or certain else None
            if good is not None:
                what = _line(said.string, said) if said else f"exit {about.exit}" if certain else "error"
                self._checks[check.name] = _Checked(good, check.decides, f"{_part(command, found)}: {_short(what)}")


def _part(command: str, found: re.Match[str]) -> str:
    """The part of a command line that a check was found in, without what comes before or behind it."""
    at = max(found.end() - 1, 0)
    begin = max((mark.end() for mark in _NEXT_COMMAND.finditer(command, 0, at)), default=0)
    return _short(_NEXT_COMMAND.split(command[begin:].strip(), maxsplit=1)[0])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 72 else line[:71] + "…"


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _line(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start() + 1) + 1
    end = text.find("\n", max(found.end() - 1, start))
    return text[start : end if end >= 0 else None]
