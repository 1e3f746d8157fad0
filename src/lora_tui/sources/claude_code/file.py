"""One session file: a first pass finds the conversation in it, a second reads the lines that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from lora_tui.sources.bad_lines import BadLines
from lora_tui.sources.claude_code import rows
from lora_tui.sources.claude_code.conversation import Conversation, own_words
from lora_tui.sources.claude_code.rows import Meta, Row
from lora_tui.sources.claude_code.tree import Tree
from lora_tui.sources.iso_time import milliseconds
from lora_tui.sources.model import Message, Session
from lora_tui.sources.registry import Quarantine, Quarantined
from lora_tui.sources.text_lines import Line, line_at, lines

_TITLE = 80  # characters
_MAIN = -1


class SessionFile:
    """What a first pass over a file found. Memory: a few numbers per line."""

    def __init__(self, path: Path, outside: Session, meta: Meta, quarantine: Quarantine) -> None:
        """Read the file. Raises OSError; lines that cannot be understood are quarantined."""
        self._path = path
        self._outside = outside
        self._meta = meta
        self._subagent = path.name.startswith("agent-")
        self._tree = Tree(self._subagent)
        self._facts: dict[int, _Facts] = {}  # by the root of a sidechain, _MAIN for the file's own conversation
        self._prompts: dict[int, str] = {}  # hash of what a sidechain was asked -> its id
        self._summary: tuple[str, str | None] = ("", None)
        self._given_title = self._ai_title = ""
        read = BadLines(path, outside.native_id, quarantine)
        for line in lines(path):
            problem = line.problem
            if not problem:
                try:
                    self._row(line, rows.row.decode(line.text))
                    read.good()
                    continue
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    problem = str(error)
            if not read.bad(line.number, problem):
                break
        read.close()

    def sessions(self) -> list[Session]:
        """The file's own session, then those of its sidechains; none where nobody speaks."""
        own = self._outside.native_id
        found = []
        if self._tree.main():
            facts = self._facts.get(_MAIN, _Facts())
            parent = self._outside.parent
            if self._subagent and not parent and facts.session != own:
                parent = facts.session  # its file lies beside that of its session
            found.append(self._session(own, parent, self._title(facts), facts))
        for root, native_id in self._tree.sidechains.items():
            facts = self._facts.get(root, _Facts())
            found.append(self._session(native_id, own, facts.words, facts))
        return found

    def messages(self, native_id: str, quarantine: Quarantine) -> Iterator[Message]:
        """One conversation, read line by line."""
        roots = {of: root for root, of in self._tree.sidechains.items()}
        aside = native_id in roots and native_id != self._outside.native_id
        offsets = self._tree.sidechain(roots[native_id]) if aside else self._tree.main()
        told = Conversation(self._meta.agentType or "", _children(self._path), {} if aside else self._prompts)
        with self._path.open("rb") as file:
            for offset in offsets:
                try:
                    row = rows.row.decode(line_at(file, offset))
                    yield from told.add(row)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    quarantine(self._bad("message", f"byte {offset}", str(error)))
        yield from told.close()
        if told.lost:
            quarantine(self._bad("part", native_id, f"{told.lost} outputs whose calls are not in the file"))

    def _row(self, line: Line, row: Row) -> None:
        position = self._tree.add(line, row)
        if position >= 0 and row.message is not None:
            root = self._tree.aside(position)
            facts = self._facts.setdefault(root, _Facts())
            if root == position:
                self._prompts.setdefault(hash(own_words(row)), self._tree.sidechains[root])
            facts.add(row)
        if row.summary:
            self._summary = (row.summary, row.leafUuid)
        self._given_title = row.customTitle or self._given_title
        self._ai_title = row.aiTitle or self._ai_title

    def _title(self, facts: _Facts) -> str:
        summary, leaf = self._summary
        if leaf is not None and not self._tree.knows(leaf):
            summary = ""  # of another file's session: older versions wrote them into the next one
        return self._given_title or self._meta.description or summary or self._ai_title or facts.words

    def _session(self, native_id: str, parent: str, title: str, facts: _Facts) -> Session:
        return msgspec.structs.replace(
            self._outside,
            native_id=native_id,
            parent=parent,
            title=title,
            directory=facts.directory,
            version=facts.version,
            created=facts.created or self._outside.created,
            agent=self._meta.agentType or "",
        )

    def _bad(self, kind: str, native_id: str, reason: str) -> Quarantined:
        return Quarantined(str(self._path), kind, native_id, reason, self._outside.native_id)


class _Facts:
    """What the lines of one conversation say about it."""

    def __init__(self) -> None:
        self.created = 0
        self.directory = self.version = self.words = self.session = ""

    def add(self, row: Row) -> None:
        self.created = self.created or milliseconds(row.timestamp)
        self.directory = self.directory or row.cwd or ""
        self.version = row.version or self.version
        self.session = self.session or row.sessionId or ""
        if not self.words:
            self.words = " ".join(own_words(row).split())[:_TITLE]


def _children(path: Path) -> dict[str, str]:
    """Subagents' ids by the call that started them, as noted beside their files."""
    found: dict[str, str] = {}
    for place in (path.with_suffix("") / "subagents").glob("agent-*.meta.json"):
        try:
            call = rows.meta.decode(place.read_bytes()).toolUseId
        except (OSError, msgspec.DecodeError):
            continue
        if call:
            found[call] = place.name.removesuffix(".meta.json")
    return found
