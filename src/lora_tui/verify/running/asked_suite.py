"""The suite of a run as it was when the run was made, kept in its folder.

A suite may be changed while a run of it waits to be resumed: answers to the old prompts must not count for the new.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lora_tui.jobs.checks import SET, Expectation
from lora_tui.jobs.job import Verify
from lora_tui.verify.suites.suite import Case, Suite, read_suite, suite_path
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

_FILE = "suite.json"


class _Kept(msgspec.Struct, frozen=True):
    """A Suite as JSON."""

    name: str
    description: str
    path: str
    cases: tuple[Case, ...]
    repeat: int
    sha256: str  # of the suite file


def keep(folder: Path, suite: Suite) -> None:
    """Write it into the folder of a run."""
    kept = _Kept(suite.name, suite.description, str(suite.path), suite.cases, suite.repeat, sha256(suite))
    atomic.write_text(folder / _FILE, msgspec.json.encode(kept).decode())


def suite_of(job: object, folder: Path) -> Suite:
    """The suite of a verification in this folder. Raises BadInput when it cannot be read any more.

    Runs that were made before suites were kept have theirs read from where it was.
    """
    assert isinstance(job, Verify)
    if job.prompt:
        return Suite("free prompt", "", Path(), (Case("free prompt", job.prompt, ()),))
    try:
        data = (folder / _FILE).read_bytes()
    except FileNotFoundError:
        return read_suite(Path(job.suite))
    except OSError as error:
        raise BadInput(f"the suite of this run cannot be read: {error.strerror}", where=str(folder / _FILE)) from error
    try:
        kept = msgspec.json.decode(data, type=_Kept)
        cases = tuple(msgspec.structs.replace(one, expectations=_expectations(one.expectations)) for one in kept.cases)
    except (UnicodeDecodeError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadInput(f"the suite of this run is damaged: {error}", where=str(folder / _FILE)) from error
    return Suite(kept.name, kept.description, Path(kept.path), cases, kept.repeat, kept.sha256)


def sha256(suite: Suite) -> str:
    """Of the suite's file, as it was when it was kept, else as it is; "" without one."""
    if suite.sha256:
        return suite.sha256
    try:
        return hashlib.sha256(suite.path.read_bytes()).hexdigest()
    except OSError:
        return ""


def is_changed(workspace: Workspace, suite: str, since: str) -> bool:
    """Whether a suite, by its name or file, is another than when its SHA-256 was `since`; False where nobody knows."""
    try:
        path = suite_path(workspace, suite)
    except BadInput:
        return False
    return bool(since) and sha256(Suite("", "", path, ())) not in ("", since)


def _expectations(found: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
    """With the assertions of each assert-set as what they were: JSON has no word for their type."""
    return tuple(
        msgspec.structs.replace(one, value=_expectations(msgspec.convert(one.value, tuple[Expectation, ...])))
        if one.type == SET
        else one
        for one in found
    )
