"""General conversations mixed into train, so that the fine-tune does not forget what the base could do.

They come from any chat file that sources/chat reads. Which ones is told by the seed and by what they say: the same file
and seed give the same rows, in whatever order the file has them. Memory: eight bytes per conversation of the file.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from lora_tui.dataset.general_rows import Found, key_of, place_of, row_of
from lora_tui.dataset.model import Rejected, Row
from lora_tui.sources.chat import table
from lora_tui.sources.chat.conversation import Conversation, NotAChat
from lora_tui.sources.chat.rows import Row as Line
from lora_tui.sources.chat.rows import rows as lines
from lora_tui.sources.chat.source import conversation_of
from lora_tui.workspace.errors import BadInput, SourceError
from lora_tui.workspace.profiles import Data

_HELP = "Give a chat file under `replay`: ShareGPT, messages, Alpaca or prompt/completion, as JSON, JSONL or Parquet."
_BATCH = 2_000  # conversations that wait in memory, at most

_NONE = (1 << 64) - 1  # the rank of a row that is no conversation


class Replay(msgspec.Struct, frozen=True):
    """A chat file as it was looked through: what can be drawn from it."""

    path: Path
    sha256: str  # of its bytes; a rebuild says when they changed
    ranks: array[int]  # one per row, drawn by the seed; equal for equal conversations; _NONE: not readable
    order: array[int]  # positions of the different conversations, by rank

    @property
    def conversations(self) -> int:
        """How many different ones there are."""
        return len(self.order)

    @property
    def stamp(self) -> str:
        """What the manifest's tables keep of it."""
        return f"{self.path.name} {self.sha256}"


def look_through(given: str, seed: int, folders: Collection[Path] = ()) -> Replay:
    """Read a chat file once and draw the order of its conversations. Raises BadInput with what to do.

    given: the file's path; a relative one is looked for in the working folder, then in `folders`.
    """
    path = _found(given, folders)
    ranks = array("Q")
    for _, said in _read(path):
        ranks.append(_NONE if isinstance(said, str) else _rank(key_of(said), seed))
    order = array("Q")
    last = _NONE
    for position in sorted(range(len(ranks)), key=lambda one: (ranks[one], one)):
        if ranks[position] not in (last, _NONE):
            order.append(position)
            last = ranks[position]
    if not order:
        raise BadInput("no row of the replay file is a conversation", where=str(path), fix=_HELP)
    return Replay(path, _sha256(path), ranks, order)


def wanted(train: int, share: float) -> int:
    """How many rows beside `train` others make up at most this share of both together."""
    return int(train * share / (1 - share) + 1e-9)


def draw(
    replay: Replay,
    number: int,
    data: Data,
    *,
    off: frozenset[str] = frozenset(),
    refuse: Callable[[Row], str] = lambda row: "",
) -> Iterator[Found]:
    """Draw `number` conversations as rows of train, or all there are; in the order of the file, as they are read.

    Those that cannot be used are Rejected and others are drawn in their place; so are rows of the file that no
    conversation can be read from. off: redaction rules that are not applied. refuse: why a row may not be in train
    (a suite's prompt, a row of test), '' where it may. Raises BadInput when the file cannot be read any more.
    """
    yield from _unreadable(replay)
    at, missing, batch = 0, number, number
    ids: set[str] = set()
    while missing and at < len(replay.order):
        made = _drawn(replay, replay.order[at : at + batch], data, off)
        at += batch
        if batch > missing:  # of more than are missing the first by rank, whatever the order of the file
            made = iter(sorted(made, key=lambda one: one[0]))
        for _, found in made:
            if not missing:
                break
            checked = _checked(found, ids, refuse)
            missing -= not isinstance(checked, Rejected)
            yield checked
        batch = max(missing, min(2 * batch, _BATCH))  # where many cannot be used: not one reading for a few each


def _unreadable(replay: Replay) -> Iterator[Rejected]:
    if _NONE in replay.ranks:
        for line, said in _read(replay.path):
            if isinstance(said, str):
                yield Rejected("", 0, "replay: cannot be read", "", f"{place_of(replay.path, line)}: {said}")


def _drawn(replay: Replay, positions: array[int], data: Data, off: frozenset[str]) -> Iterator[tuple[int, Found]]:
    """The conversations at these positions with their ranks, in the order of the file."""
    wanted = set(positions)
    for position, (line, said) in enumerate(_read(replay.path)):
        if position in wanted and not isinstance(said, str):
            yield replay.ranks[position], row_of(said, place_of(replay.path, line), data, off)


def _checked(found: Found, ids: set[str], refuse: Callable[[Row], str]) -> Found:
    if isinstance(found, Rejected):
        return found
    candidate, row = found
    reason = "same content twice" if row.id in ids else refuse(row)
    ids.add(row.id)
    return Rejected(row.id, 0, f"replay: {reason}", candidate.request, row.session) if reason else found


def again(path: Path, keys: Collection[str], data: Data, off: frozenset[str] = frozenset()) -> Iterator[Found]:
    """The rows of the conversations with these keys (Row.key), as `draw` made them; each once."""
    left = set(keys)
    for line, said in _read(path):
        if not isinstance(said, str) and (key := key_of(said)) in left:
            left.remove(key)
            yield row_of(said, place_of(path, line), data, off)


def notes(replay: Replay, drawn: int, train: int, share: float) -> tuple[str, ...]:
    """What one should know of it; `train` counts all rows of train, these included."""
    name, there = replay.path.name, replay.conversations
    which = f"all {there:,}" if drawn == there else f"{drawn:,} of {there:,}"
    part = drawn / train if train else 0.0
    said = f"replay: {which} conversations of {name}, {part:.0%} of train"
    short = drawn < wanted(train - drawn, share)
    found = [said + (f" ({share:.0%} wanted)" if short else "")]
    unreadable = replay.ranks.count(_NONE)
    if unreadable:
        found.append(f"replay: {unreadable:,} {'row' if unreadable == 1 else 'rows'} of {name} cannot be read")
    return tuple(found)


def changed(path: Path, stamp: str) -> bool:
    """Whether the file is not what it was when a version with this stamp was built. Raises BadInput."""
    return f"{path.name} {_sha256(path)}" != stamp


def _rank(key: str, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    return min(int.from_bytes(digest[:8], "big"), _NONE - 1)


def _found(given: str, folders: Collection[Path]) -> Path:
    for path in (Path(given).expanduser(), *(folder / given for folder in folders)):
        if path.is_file() or table.is_table(path):
            return path.absolute()
    raise BadInput("there is no such chat file to replay", where=given, fix=_HELP)


def _read(path: Path) -> Iterator[tuple[Line, Conversation | str]]:
    """Every row with its conversation, or with why there is none. Raises BadInput."""
    try:
        for line in (table.rows if table.is_table(path) else lines)(path):
            try:
                yield line, conversation_of(line)
            except NotAChat as error:
                yield line, str(error)
    except SourceError:
        raise
    except OSError as error:
        raise BadInput(f"cannot read the replay file: {error.strerror}", where=str(path), fix=_HELP) from error


def _sha256(path: Path) -> str:
    """Of a file's bytes; of a folder's files with their names."""
    whole = hashlib.sha256()
    try:
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        for part in sorted(one for one in path.rglob("*") if one.is_file()):
            with part.open("rb") as file:
                whole.update(f"{part.relative_to(path)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise BadInput(f"cannot read the replay file: {error.strerror}", where=str(path), fix=_HELP) from error
    return whole.hexdigest()
