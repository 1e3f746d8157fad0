"""A piece of real code that is to become an example: the answer, and what it takes to write it."""

from __future__ import annotations

import hashlib

import msgspec

from lora_tui.curation.augment.table import Kind


class Shown(msgspec.Struct, frozen=True):
    """Lines of a file that the assistant is shown before it answers."""

    path: str
    text: str
    offset: int = 0  # number of the first line; 0: the whole file


class Written(msgspec.Struct, frozen=True):
    """One edit of the answer: `old` becomes `new`; without `old` the file is written new."""

    path: str
    new: str
    old: str = ""


class Placed(msgspec.Struct, frozen=True):
    """An answer in its place: what is shown first, and the edits that make it."""

    shown: tuple[Shown, ...]
    written: tuple[Written, ...]

    @property
    def context(self) -> str:
        """Everything shown, as text."""
        return "\n".join(one.text for one in self.shown)


class Candidate(msgspec.Struct, frozen=True):
    """One answer with what is known of it."""

    kind: Kind
    language: str
    directory: str  # of the project
    path: str  # of the file, in the project
    licence: str
    name: str
    what: str  # 'method', 'function', 'type', 'test', or 'change' for a commit's
    parent: str  # the type it belongs to
    signature: str
    doc: str
    subject: str  # of the commit, for a change
    before: str  # the code that is replaced, for a change
    code: str  # the answer
    body: tuple[str, ...]  # its tokens without signature and comments; of a change those of the new lines
    names: frozenset[str]  # that it takes from outside, the language's own left out
    placed: Placed
    example: int = 0  # the mined commit's example it comes from

    @property
    def native_id(self) -> str:
        """The same for the same code and kind, wherever it lies."""
        told = "\0".join((self.kind, self.before, self.code))
        return hashlib.blake2b(told.encode(errors="replace"), digest_size=12).hexdigest()

    @property
    def label(self) -> str:
        """As a person finds it: lib/basket.rb: total."""
        return f"{self.path}: {self.qualified}" if self.name else self.path

    @property
    def around(self) -> str:
        """The types around it as the language writes them: Shop::Basket."""
        return self.parent.replace(".", "::") if self.language in ("ruby", "rust") else self.parent

    @property
    def qualified(self) -> str:
        """Its name with the types around it: Shop::Basket.total."""
        return f"{self.around}.{self.name}" if self.parent else self.name
