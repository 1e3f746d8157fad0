"""What the verification suites ask and expect, and whether a text is too much like it.

A text resembles a prompt when half of the prompt's 13-token runs occur in it, or when half of their five-token
shingles are the same. A prompt of 5 to 12 tokens must be a whole request, or a whole paragraph of one; a shorter one
("fix it") says too little to be held against anything. Upper and lower case are the same.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

from lora_tui.curation import near_duplicates
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.resources import shipped

RUN = 13  # tokens
RUN_SHARE = 0.5  # of a prompt's runs
SIMILAR = 0.5  # Jaccard index of shingles
LEAST = 5  # tokens of a prompt that is held against requests

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML was built with it: a tenth of the time
_SHINGLE = 5
_IN_A_ROW = b"\1" * _SHINGLE
_PARAGRAPH = re.compile(r"\n\s*\n")
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_EXPECTED = ("equals", "contains", "icontains", "contains-all", "icontains-all", "contains-any", "starts-with")
_REFERENCE = re.compile(r"(?:x[-_])?(?:reference|expected|solution|answer)(?:[-_]\w+)?", re.I)

Tokens = tuple[str, ...]


class Contact(NamedTuple):
    """A prompt, or the answer a suite expects, that a text is too much like."""

    suite: str
    prompt: str
    kind: Literal["same", "runs", "similar"]
    value: float  # 1, the share of the prompt's runs, or the Jaccard index


def suite_files(workspace: Workspace) -> dict[str, Path]:
    """Every suite by name; a person's own in <workspace>/profiles/suites wins over a shipped one."""
    folders = (shipped("profiles") / "suites", workspace.profiles / "suites")
    return {path.stem: path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.y*ml"))}


def prompts(path: Path) -> Iterator[str]:
    """The prompts of a suite, filled in; nothing of a file that is no suite: verifying says what is wrong with it."""
    yield from (filled for filled, _ in _cases(path))


def references(path: Path) -> Iterator[str]:
    """The answers that a suite expects, where they are long enough to be known again."""
    for _, expected in _cases(path):
        yield from (text for text in expected if len(_tokens(text)) >= RUN)


def texts(workspace: Workspace) -> list[tuple[str, str]]:
    """(suite, text) of what every suite asks and expects, each text once."""
    found = [
        (name, text) for name, path in suite_files(workspace).items() for text in (*prompts(path), *references(path))
    ]
    return list(dict.fromkeys(found))


def fingerprints(known: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For every suite the SHA-256 of its texts, in whatever order they come."""
    of: dict[str, set[str]] = defaultdict(set)
    for name, text in known:
        of[name].add(text)
    return {name: hashlib.sha256("\0".join(sorted(found)).encode()).hexdigest() for name, found in sorted(of.items())}


class Index:
    """Texts of suites, asked whether something is like one of them. Takes about 0.1 ms per 2 KB of other text."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        self._known: list[tuple[str, str]] = []
        self._short: dict[Tokens, int] = {}
        self._shingles: list[frozenset[Tokens]] = []
        self._runs: list[frozenset[Tokens]] = []
        self._with: dict[Tokens, list[int]] = defaultdict(list)  # shingle -> the texts that have it
        for name, text in dict.fromkeys(known):
            tokens = _tokens(text)
            if len(tokens) < LEAST:
                continue
            number = len(self._known)
            self._known.append((name, text))
            long = len(tokens) >= RUN
            self._shingles.append(frozenset(_cut(tokens, _SHINGLE) if long else ()))
            self._runs.append(frozenset(_cut(tokens, RUN) if long else ()))
            if not long:
                self._short.setdefault(tuple(tokens), number)
            for shingle in sorted(self._shingles[-1]):
                self._with[shingle].append(number)
        self._every = frozenset(self._with)
        self._words = frozenset(word for shingle in self._every for word in shingle)

    def like(self, requests: Sequence[str], others: Sequence[str] = ()) -> Contact | None:
        """What these are too much like, the closest first; short prompts are looked for in the requests alone."""
        for request in requests if self._short else ():
            for part in (request, *_PARAGRAPH.split(request)):
                if (number := self._short.get(tuple(_tokens(part)))) is not None:
                    return Contact(*self._known[number], "same", 1.0)
        best: tuple[float, int, Literal["runs", "similar"]] | None = None
        runs: dict[int, set[Tokens]] = defaultdict(set)
        for text in (*requests, *others):
            tokens = _tokens(text)
            known = bytes(map(self._words.__contains__, tokens))
            if _IN_A_ROW not in known:  # most code: no shingle of it can be a suite's
                continue
            mine = set(_cut(tokens, _SHINGLE))
            if not (shared := mine & self._every):
                continue
            longer = set(_cut(tokens, RUN))
            for number in sorted({number for shingle in shared for number in self._with[shingle]}):
                runs[number] |= longer & self._runs[number]
                theirs = self._shingles[number]
                both = len(mine & theirs)
                if (index := both / (len(mine) + len(theirs) - both)) >= SIMILAR and (best is None or index > best[0]):
                    best = index, number, "similar"
        for number, found in sorted(runs.items()):
            share = len(found) / len(self._runs[number])
            if share >= RUN_SHARE and (best is None or share > best[0]):
                best = share, number, "runs"
        return Contact(*self._known[best[1]], best[2], round(best[0], 3)) if best is not None else None


class Suites:
    """The suites of a workspace, asked about one request."""

    def __init__(self, workspace: Workspace) -> None:
        self._index = Index(texts(workspace))

    def like(self, text: str) -> str:
        """The suite that asks or expects something too much like this text, '' when there is none."""
        found = self._index.like([text])
        return found.suite if found is not None else ""


def _tokens(text: str) -> list[str]:
    found = near_duplicates.tokens(text)
    return " ".join(found).lower().split(" ") if found else []


def _cut(tokens: Sequence[str], size: int) -> Iterator[Tokens]:
    """Every `size` tokens in a row."""
    return zip(*(tokens[start:] for start in range(size)), strict=False)


def _cases(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every prompt with the texts that its answer is expected to have."""
    try:
        data = yaml.load(path.read_text(), _LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if not isinstance(data, dict):
        return
    templates = data.get("prompts") or ["{{prompt}}"]
    templates = [templates] if isinstance(templates, str) else templates
    default = data.get("defaultTest")
    tests = data.get("tests")
    for test in tests if isinstance(tests, list) else []:
        values = _variables(default) | _variables(test)
        expected = [*_expected(default), *_expected(test), *_named(values)]
        for template in templates if isinstance(templates, list) else []:
            if near_duplicates.tokens(filled := _filled(str(template), values)):
                yield filled, expected


def _filled(template: str, values: Mapping[str, object]) -> str:
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], "")), template)


def _variables(test: object) -> dict[str, object]:
    values = test.get("vars") if isinstance(test, dict) else None
    return values if isinstance(values, dict) else {}


def _expected(test: object) -> Iterator[str]:
    """What checks look for, and references that stand beside them."""
    if not isinstance(test, dict):
        return
    for check in test.get("assert") or () if isinstance(test.get("assert"), list) else ():
        if isinstance(check, dict) and check.get("type") in _EXPECTED:
            value = check.get("value")
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
    yield from _named(test)
    metadata = test.get("metadata")
    if isinstance(metadata, dict):
        yield from _named(metadata)


def _named(values: Mapping[str, object]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, str) and _REFERENCE.fullmatch(str(name)):
            yield value
