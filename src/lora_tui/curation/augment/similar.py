"""What is there already: code of other examples, and the prompts that models are verified with."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import yaml

from lora_tui.curation import examples
from lora_tui.curation.augment.table import table
from lora_tui.curation.filters import Filter
from lora_tui.curation.reading import example
from lora_tui.sources.code.tokens import words
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.resources import shipped

_SHINGLE = 5
_RUN = 13
_INDEXED = 4  # one shingle of so many finds the texts to compare with
_WRITING = {"edit", "write", "apply_patch", "multiedit", "Edit", "Write", "MultiEdit"}
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def shingles(text: str, size: int = _SHINGLE) -> set[int]:
    """Hashes of every `size` tokens in a row; of a shorter text, of all its tokens."""
    found = words(text.lower())
    if not found:
        return set()
    runs = [" ".join(found[at : at + size]) for at in range(max(1, len(found) - size + 1))]
    return {int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs}


class Seen:
    """Texts, asked for the one most like a new one."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, set[int]]] = []
        self._by_shingle: dict[int, list[int]] = defaultdict(list)

    def add(self, text: str, name: str) -> None:
        """Remember a text under a name."""
        found = shingles(text)
        for shingle in self._keys(found):
            self._by_shingle[shingle].append(len(self._texts))
        self._texts.append((name, found))

    def like(self, text: str, least: float, without: str = "") -> str:
        """The name of a text with at least this Jaccard similarity, '' when there is none."""
        mine = shingles(text)
        near = {number for shingle in self._keys(mine) for number in self._by_shingle.get(shingle, ())}
        for number in sorted(near):
            name, theirs = self._texts[number]
            if name != without and mine and len(mine & theirs) / len(mine | theirs) >= least:
                return name
        return ""

    def _keys(self, found: set[int]) -> Sequence[int]:
        return [one for one in found if one % _INDEXED == 0] or sorted(found)[:8]


def written_code(workspace: Workspace, language: str) -> Seen:
    """The code that the examples of a language write: accepted ones and those not decided about."""
    seen = Seen()
    for identity in examples.ids(workspace, Filter(languages=(language,))):
        found = example(workspace, identity)
        if found.row.decision == "reject":
            continue
        for message in found.messages:
            for call in message.tool_calls:
                if call.function.name in _WRITING:
                    for text in _strings(call.function.arguments):
                        seen.add(text, str(identity))
    return seen


class Suites:
    """The prompts of every verification suite, shipped and the workspace's own."""

    def __init__(self, workspace: Workspace) -> None:
        folders = (shipped("profiles") / "suites", workspace.profiles / "suites")
        files = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.y*ml"))]
        self.prompts = [(path.stem, prompt) for path in files for prompt in _prompts(path)]

    def like(self, text: str) -> str:
        """The suite that has a prompt too much like this text, '' when there is none."""
        limits = table().limits
        runs, short = shingles(text, _RUN), shingles(text)
        plain = " ".join(words(text.lower()))
        for name, prompt in self.prompts:
            theirs = shingles(prompt, _RUN)
            few = shingles(prompt)
            if len(words(prompt)) < _RUN:
                if f" {' '.join(words(prompt.lower()))} " in f" {plain} ":
                    return name
            elif theirs and len(theirs & runs) / len(theirs) >= limits.suite_run:
                return name
            if few and len(few & short) / len(few | short) >= limits.suite_similar:
                return name
        return ""


def _strings(arguments: str) -> Iterator[str]:
    try:
        data = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return
    stack = [data]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += [value for key, value in one.items() if key not in ("oldString", "old_string", "filePath")]
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, str) and len(words(one)) >= _SHINGLE:
            yield one


def _prompts(path: Path) -> Iterator[str]:
    """The prompts of a suite, filled in; nothing of a file that is no suite: verifying says what is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if not isinstance(data, dict):
        return
    templates = data.get("prompts") or ["{{prompt}}"]
    templates = [templates] if isinstance(templates, str) else templates
    default = _variables(data.get("defaultTest"))
    tests = data.get("tests")
    for test in tests if isinstance(tests, list) else []:
        values = default | _variables(test)
        for template in templates if isinstance(templates, list) else []:
            filled = _filled(str(template), values)
            if words(filled):
                yield filled


def _filled(template: str, values: dict[str, object]) -> str:
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], "")), template)


def _variables(test: object) -> dict[str, object]:
    values = test.get("vars") if isinstance(test, dict) else None
    return values if isinstance(values, dict) else {}
