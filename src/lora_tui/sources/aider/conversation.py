"""One chat → messages. Aider's notes are not sent to the model; they say what became of an answer.

The files in the chat and the repository map, which Aider does send, are not in its history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from lora_tui.sources.aider.layout import pieces
from lora_tui.sources.model import About, Message

_MODEL = re.compile(r"(?:Main model|Model): (\S+)")
_VERSION = re.compile(r"Aider v(\S+)")
_APPLIED = re.compile(r"Applied edit to (.+)")
_COMMIT = re.compile(r"Commit ([0-9a-f]{7,40})\b")
_UNDONE = re.compile(r"Removed: ([0-9a-f]{7,40})\b")
_FAILED = re.compile(r"The LLM did not conform to the edit format|#* ?\d+ SEARCH/REPLACE blocks? failed to match")
_STOPPED = re.compile(r"\^C\b")
_COMMAND = re.compile(r"[/!]\S*")
_ASKING = ("/ask", "/code", "/architect", "/help", "/context")  # commands that send what follows them to the model
_THINKING = re.compile(r"\s*-{5,}\n► \*\*THINKING\*\*\n(.*?)\n-{5,}\n► \*\*ANSWER\*\*\n", re.S)

NOT_APPLIED = "edit not applied"


def version(text: str) -> str:
    """Which Aider this was."""
    found = _VERSION.search(text)
    return found[1] if found else ""


def first_request(text: str) -> str:
    """What the user asked first that was no command of Aider's; else the first command."""
    asked = [piece.text for piece in pieces(text) if piece.kind == "asked"]
    return next((one for one in asked if not is_command(one)), asked[0] if asked else "")


def is_command(request: str) -> bool:
    """Whether this is a command to Aider ("/add f", "!ls") rather than a request to the model."""
    found = _COMMAND.match(request)
    return found is not None and found.group(0) not in _ASKING


def messages(text: str, native_id: str, created: int) -> Iterator[Message]:
    """The messages of one chat. Memory: the chat."""
    told = _Told(native_id, created)
    for piece in pieces(text):
        if piece.kind == "asked":
            told.asked(piece.text)
        elif piece.kind == "said":
            told.said(piece.text)
        else:
            told.noted(piece.text)
    yield from told.messages


class _Told:
    def __init__(self, native_id: str, created: int) -> None:
        self.messages: list[Message] = []
        self._native_id = native_id
        self._created = created
        self._model = ""
        self._notes: list[str] = []  # since the last answer
        self._asked = False

    def asked(self, text: str) -> None:
        self._asked = True
        origin = "shell" if is_command(text) else ""
        self._add("user", text, origin=origin, synthetic=(0,) if origin else ())

    def said(self, text: str) -> None:
        """An answer. After another answer it answers what Aider itself sent back: the errors it has just noted."""
        if not self._asked:
            return
        if self.messages[-1].role == "assistant":
            self._add("user", "\n".join(self._notes), synthetic=(0,))
        thinking = _THINKING.match(text)
        answer = text[thinking.end() :].strip("\n") if thinking else text
        self._add("assistant", answer, model=self._model)
        if thinking:
            self._replace(-1, self.messages[-1].about, thinking[1].strip("\n"))

    def noted(self, text: str) -> None:
        self._notes.append(text)
        if found := _MODEL.match(text):
            self._model = found[1]
        elif found := _UNDONE.match(text):
            self._undo(found[1])
        elif self.messages and self.messages[-1].role == "assistant":
            self._became(text)

    def _became(self, note: str) -> None:
        about = self.messages[-1].about
        if found := _APPLIED.match(note):
            about = msgspec.structs.replace(about, diffs=(*about.diffs, found[1]))
        elif found := _COMMIT.match(note):
            about = msgspec.structs.replace(about, commit=found[1])
        elif _FAILED.match(note):
            about = msgspec.structs.replace(about, error=NOT_APPLIED)
        elif _STOPPED.match(note):
            about = msgspec.structs.replace(about, interrupted=True)
        self._replace(-1, about)

    def _undo(self, commit: str) -> None:
        """Mark the answer that was committed so, and the request before it."""
        for position in range(len(self.messages) - 1, -1, -1):
            made = self.messages[position].about.commit
            if made and (made.startswith(commit) or commit.startswith(made)):
                for one in (position - 1, position):
                    self._replace(one, msgspec.structs.replace(self.messages[one].about, reverted=True))
                return

    def _add(self, role: str, content: str, **about: object) -> None:
        native_id = f"{self._native_id}-{len(self.messages)}"
        noted = {"native_id": native_id, "created": self._created + len(self.messages), **about}
        self.messages.append(msgspec.convert({"role": role, "content": content, "about": noted}, Message))
        self._notes = []

    def _replace(self, position: int, about: About, reasoning: str | None = None) -> None:
        before = self.messages[position]
        self.messages[position] = msgspec.structs.replace(
            before, about=about, reasoning_content=before.reasoning_content if reasoning is None else reasoning
        )
