"""A folder's definitions, and the code that each one needs to be understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from lora_tui.curation.augment.candidate import Shown
from lora_tui.curation.augment.folders import CodeFile
from lora_tui.curation.augment.table import table
from lora_tui.sources.code.definitions import Definition, definitions

Found = tuple[CodeFile, Definition]


class Project:
    """Every file of one folder with its definitions."""

    def __init__(self, files: Iterable[CodeFile], language: str) -> None:
        self.language = language
        self.files = {file.path: file for file in files}
        self.definitions = {path: definitions(file.code, language, path) for path, file in self.files.items()}
        self._named: dict[str, list[Found]] = {}
        for path, found in self.definitions.items():
            for one in found:
                if one.kind != "test" and not self.files[path].is_test:
                    self._named.setdefault(one.name, []).append((self.files[path], one))

    def defining(self, names: Iterable[str], near: str) -> Iterator[Found]:
        """The definitions of these names. Of several the one in the file `near`; none when that does not settle it."""
        for name in sorted(names):
            found = self._named.get(name, [])
            chosen = [one for one in found if one[0].path == near] or found
            if len(chosen) == 1:
                yield chosen[0]

    def tested_by(self, path: str) -> CodeFile | None:
        """The file that a test file tests, by its name; of several the one whose path is nearest."""
        rules = table().tests
        stem = PurePosixPath(path).name.split(".")[0] if self.language != "typescript" else _stem(path)
        stem = re.sub(rules.affix, "", stem)
        found = [
            file
            for other, file in self.files.items()
            if not file.is_test and other != path and _stem(other).lower() == stem.lower()
        ]
        parts = set(path.split("/"))
        return max(found, key=lambda file: (len(parts & set(file.path.split("/"))), -len(file.path)), default=None)


def excerpt(file: CodeFile, definition: Definition) -> Shown:
    """A definition as it is shown: whole where it is short, else its head."""
    lines = file.code.decode().split("\n")
    last = min(definition.last_line, definition.doc_line + table().limits.context_definition - 1)
    text = "".join(line + "\n" for line in lines[definition.doc_line - 1 : last])
    return Shown(file.path, text, definition.doc_line)


def _stem(path: str) -> str:
    """The file's name without its endings, test marks such as `.spec` among them."""
    return PurePosixPath(path).name.split(".")[0]
