"""Answers kept between runs, by everything that determines them: who answers, the question and how it is drawn."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from lora_tui.jobs.journal import Answer
from lora_tui.verify.asking import Identity, Question
from lora_tui.workspace.layout import Workspace


class _Line(msgspec.Struct, frozen=True):
    key: str
    answer: Answer


class Kept:
    """One endpoint's answers, a file of lines. Nothing is kept of an endpoint whose weights cannot be told apart."""

    def __init__(self, workspace: Workspace, identity: Identity, *, fresh: bool = False) -> None:
        self._who = msgspec.json.encode([identity.engine, identity.version, identity.digest])
        self._path: Path | None = None
        self._known: dict[str, Answer] = {}
        if identity.digest:
            name = hashlib.sha256(self._who).hexdigest()[:32]
            self._path = workspace.root / "cache" / "answers" / f"{name}.jsonl"
            if not fresh:
                self._known = _read(self._path)

    def find(self, question: Question) -> Answer | None:
        """The answer to this very question, without its checks."""
        return self._known.get(self._key(question))

    def keep(self, question: Question, answer: Answer) -> None:
        """Remember a complete answer. A full disk costs only the memory of it."""
        if self._path is None:
            return
        bare = msgspec.structs.replace(answer, checks=(), attempts=1, fault="", time=0.0)
        line = msgspec.json.encode(_Line(self._key(question), bare)) + b"\n"
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), "wb", 0) as file:
                file.write(line)

    def _key(self, question: Question) -> str:
        asked = question if question.temperature else msgspec.structs.replace(question, seed=0)
        return hashlib.sha256(self._who + msgspec.json.encode(asked)).hexdigest()


def _read(path: Path) -> dict[str, Answer]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    known = {}
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):  # cut short by a full disk or a crash
            found = msgspec.json.decode(line, type=_Line)
            known[found.key] = found.answer
    return known
