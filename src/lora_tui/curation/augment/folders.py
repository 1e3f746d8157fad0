"""The files of a language in folders of code: read as they are, without what no person wrote or nobody may learn."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from lora_tui.curation.augment.table import table
from lora_tui.curation.language_rules import language_of_path
from lora_tui.sources import read
from lora_tui.sources.git import filters, licence
from lora_tui.sources.git.repository import environment
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_SKIPPED = {"node_modules", "target", "build", "dist", "vendor", "venv", "site-packages", "__pycache__", "Pods"}


class Folder(msgspec.Struct, frozen=True):
    """One folder of code and its licence (SPDX id, '' when its files do not say)."""

    root: Path
    licence: str


class CodeFile(msgspec.Struct, frozen=True):
    """One file; `path` is relative to its folder, with slashes."""

    folder: Folder
    path: str
    code: bytes
    is_test: bool


def folders(workspace: Workspace, given: Sequence[Path]) -> list[Folder]:
    """The folders to read: those given, else the ones that stored sessions worked in and that are still there.

    Raises BadInput for a given one that is no folder.
    """
    for path in given:
        if not path.is_dir():
            raise BadInput("no such folder", where=str(path), fix="Give the folder of a project with --repo.")
    known = {row.directory for row in read.sessions(workspace) if row.source != "augment"} if not given else set()
    too_wide = {Path.home(), Path(Path.home().anchor)}
    chosen = [path.resolve() for path in given] or sorted(
        {Path(name).resolve() for name in known if name and os.path.isdir(name)} - too_wide
    )
    roots = [path for path in chosen if not any(other in path.parents for other in chosen)]
    return [Folder(root, _licence(root)) for root in dict.fromkeys(roots)]


def code_files(folder: Folder, language: str) -> Iterator[CodeFile]:
    """The folder's files of this language, by path; what is vendored, generated, minified or too long is left out."""
    limits = table().limits
    generated, head = _rule("generated"), _rule("generated-head")
    for path in _paths(folder.root)[: limits.files_most]:
        if language_of_path(path) != language or generated.search(path):
            continue
        file = folder.root / path
        try:
            if file.is_symlink() or not file.is_file() or file.stat().st_size > 4 * limits.file_characters:
                continue  # a link may lead out of the project, and a pipe never ends
            code = file.read_bytes()
            text = code.decode()
        except (OSError, UnicodeDecodeError):
            continue
        lines = text.split("\n")
        if len(text) > min(limits.file_characters, limits.mean_line * len(lines)) or "\0" in text:
            continue
        if max(map(len, lines)) > limits.longest_line or head.search(text[:1_500]):
            continue
        yield CodeFile(folder, path, code.replace(b"\r\n", b"\n"), table().tests.is_test_file(path))


@cache
def _rule(identity: str) -> re.Pattern[str]:
    """The pattern of git mining's rule: what is generated there is generated here."""
    (rule,) = (rule for rule in filters.table().rule if rule.id == identity)
    return re.compile(rule.pattern, re.IGNORECASE | re.MULTILINE)


def _paths(root: Path) -> list[str]:
    """Paths below root: what git tracks where it is a work tree, else every file outside of build folders."""
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", "ls-files", "-z"]
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=60
        )
        if done.returncode == 0 and done.stdout:
            return sorted(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    except (OSError, subprocess.TimeoutExpired):
        pass
    found: list[str] = []
    for where, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith(".") and name not in _SKIPPED)
        found += [os.path.relpath(os.path.join(where, name), root).replace(os.sep, "/") for name in names]
        if len(found) > 10 * table().limits.files_most:
            break
    return sorted(found)


def _licence(root: Path) -> str:
    files: dict[str, str] = {}
    try:
        for entry in os.scandir(root):
            if entry.is_file() and licence.concerns(entry.name) and entry.stat().st_size < 200_000:
                files[entry.name] = Path(entry.path).read_text(errors="replace")
    except OSError:
        return ""
    return licence.licence(files)
