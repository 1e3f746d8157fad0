"""What a version holds, counted: languages, roles, who wrote what, what is alike, tokens per tokenizer.

The files are read row by row; of a row only its counts and a hash stay in memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec

from lora_tui.curation.near_duplicates import Groups
from lora_tui.dataset.coverage import Covered, coverage, request_of
from lora_tui.dataset.model import LEAKAGE_FILE, SPLITS, Count, Dataset, Pair, Row
from lora_tui.dataset.stored import lines, rows
from lora_tui.dataset.versions import rejected
from lora_tui.jobs import audit
from lora_tui.jobs.audit import Audited, Bin
from lora_tui.workspace.errors import BadInput

SHOWN = 10  # groups of each kind, and rows of a group

_pairs = msgspec.json.Decoder(Pair)

REMOVED = ("same content twice", "near-duplicate")  # the reasons that name the row which stays


class Part(msgspec.Struct, frozen=True):
    """One split. Characters are those of what is said, of reasoning and of calls' arguments."""

    rows: int = 0
    repeated: int = 0  # rows that stand there once more, counted in `rows`
    turns: int = 0  # of users
    calls: int = 0  # of tools
    characters: dict[str, int] = {}  # per role
    learned: int = 0  # characters that are trained on


class Alike(msgspec.Struct, frozen=True):
    """Rows that say nearly the same, or learn the same answer; `ids` names the first."""

    rows: int
    ids: tuple[str, ...]
    splits: dict[str, int]
    request: str  # of the first


class Tokens(msgspec.Struct, frozen=True):
    """Rows by length as one tokenizer counts them, of the audit that was made last with it."""

    base: str
    max_length: int
    rows: int  # of train, as it is trained on
    tokens: int
    loss_tokens: int
    lengths: tuple[Bin, ...]
    losses: tuple[Bin, ...]


class Statistics(msgspec.Struct, frozen=True):
    """One version at a glance."""

    label: str
    counts: tuple[Count, ...]  # per language and source
    parts: dict[str, Part]  # per split
    repositories: dict[str, int]  # rows, the most first; the same holds for the next three
    models: dict[str, int]
    licences: dict[str, int]
    origins: dict[str, int]
    near_duplicates: tuple[Alike, ...]  # the largest groups
    same_answers: tuple[Alike, ...]
    removed: dict[str, int]  # what stays instead of rows like it -> how many were left out for it
    tokens: tuple[Tokens, ...]
    coverage: tuple[Covered, ...]
    problems: tuple[str, ...]  # what could not be read


def statistics(dataset: Dataset, prompts: Sequence[tuple[str, str]] = ()) -> Statistics:
    """Count one version; prompts: (suite, prompt) that train is held against. Raises BadInput with file and line."""
    seen = _Seen()
    for split in SPLITS:
        for row in rows(dataset, split):
            seen.add(row, split)
    groups = _near_duplicates(dataset)
    same = [key for key, number in seen.answers.most_common(SHOWN) if number > 1]
    alike = _described(dataset, groups, same) if groups or same else {}
    found, problems = _tokens(dataset)
    trained = (row for row in rows(dataset, "train") if not row.copy)
    return Statistics(
        label=dataset.label,
        counts=tuple(
            Count(language, source, *(seen.kinds[language, source, split] for split in SPLITS))
            for language, source in sorted({(language, source) for language, source, _ in seen.kinds})
        ),
        parts={split: seen.part(split) for split in SPLITS},
        repositories=_most_first(seen.repositories),
        models=_most_first(seen.models),
        licences=_most_first(seen.licences),
        origins=_most_first(seen.origins),
        near_duplicates=tuple(alike[f"near {number}"] for number in range(len(groups)) if f"near {number}" in alike),
        same_answers=tuple(alike[f"same {key}"] for key in same),
        removed=_removed(dataset),
        tokens=found,
        coverage=tuple(coverage(trained, prompts)) if prompts else (),
        problems=problems,
    )


class _Seen:
    def __init__(self) -> None:
        self.kinds: Counter[tuple[str, str, str]] = Counter()
        self.repositories: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.origins: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()  # by hash
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._characters: Counter[tuple[str, str]] = Counter()

    def add(self, row: Row, split: str) -> None:
        self.kinds[row.language or "unknown", row.source or "unknown", split] += 1
        self.repositories[row.repository or "unknown"] += 1
        self.models[row.model or "unknown"] += 1
        self.licences[row.licence or "unknown"] += 1
        self.origins[row.origin] += 1
        if not row.copy and (key := _answer(row)) is not None:
            self.answers[key] += 1
        self._numbers[split, "rows"] += 1
        self._numbers[split, "repeated"] += bool(row.copy)
        for message in row.messages:
            said = len(message.content) + len(message.reasoning_content)
            said += sum(len(call.function.arguments) for call in message.tool_calls)
            self._characters[split, message.role] += said
            self._numbers[split, "turns"] += message.role == "user"
            self._numbers[split, "calls"] += len(message.tool_calls)
            if message.role == "assistant" and message.weight:
                self._numbers[split, "learned"] += said

    def part(self, split: str) -> Part:
        """What was counted of a split."""
        numbers = {name: self._numbers[split, name] for name in ("rows", "repeated", "turns", "calls", "learned")}
        characters = {role: number for (where, role), number in sorted(self._characters.items()) if where == split}
        return Part(**numbers, characters=characters)


def _answer(row: Row) -> int | None:
    """A hash of all that a row learns, blanks aside."""
    learned = [message for message in row.messages if message.role == "assistant" and message.weight]
    said = [message.content for message in learned]
    said += [call.function.arguments for message in learned for call in message.tool_calls]
    text = " ".join(" ".join(said).split())
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") if text else None


def _near_duplicates(dataset: Dataset) -> list[set[str]]:
    """The largest groups of near-duplicates that the version's leakage report links."""
    numbers: dict[str, int] = {}
    groups = Groups()
    path = dataset.folder / LEAKAGE_FILE
    if not path.is_file():
        return []
    for pair in lines(path, _pairs, "a pair"):
        one, other = (numbers.setdefault(identity, len(numbers)) for identity in (pair.id, pair.other))
        groups.join(one, other)
    sizes = Counter(groups.of(number) for number in numbers.values())
    largest = {group: set[str]() for group, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]}
    for identity, number in numbers.items():
        if groups.of(number) in largest:
            largest[groups.of(number)].add(identity)
    return list(largest.values())


def _described(dataset: Dataset, groups: Sequence[set[str]], same: Sequence[int]) -> dict[str, Alike]:
    """Where the members of each group stand, and what the first of them asks."""
    group_of = {identity: f"near {number}" for number, members in enumerate(groups) for identity in members}
    wanted = {key: f"same {key}" for key in same}
    found: dict[str, Alike] = {}
    for split in SPLITS:
        for row in rows(dataset, split):
            if row.copy:
                continue
            answer = _answer(row) if wanted else None
            for name in (group_of.get(row.id), wanted.get(answer) if answer is not None else None):
                if name is not None:
                    before = found.get(name) or Alike(0, (), {}, request_of(row))
                    found[name] = Alike(
                        before.rows + 1,
                        before.ids if len(before.ids) >= SHOWN else (*before.ids, row.id),
                        before.splits | {split: before.splits.get(split, 0) + 1},
                        before.request,
                    )
    return found


def _removed(dataset: Dataset) -> dict[str, int]:
    found = Counter(item.about for item in rejected(dataset) if item.reason in REMOVED)
    return _most_first(found, SHOWN)


def _tokens(dataset: Dataset) -> tuple[tuple[Tokens, ...], tuple[str, ...]]:
    """The newest audit of each tokenizer, and which files are none."""
    newest: dict[str, Audited] = {}
    problems: list[str] = []
    paths = sorted((dataset.folder / audit.FOLDER).glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))
    for path in paths:
        try:
            found = audit.load(path)
        except BadInput as error:
            problems.append(f"{audit.FOLDER}/{path.name}: {error.what}")
            continue
        if found.dataset_hash == dataset.manifest.hash:
            newest[found.tokenizer] = found
    return (
        tuple(
            Tokens(
                base=item.base,
                max_length=item.max_length,
                rows=item.train.rows,
                tokens=item.train.tokens,
                loss_tokens=item.train.loss_tokens,
                lengths=item.train.lengths,
                losses=item.train.losses,
            )
            for item in newest.values()
        ),
        tuple(problems),
    )


def _most_first(counts: Counter[str], most: int | None = None) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
