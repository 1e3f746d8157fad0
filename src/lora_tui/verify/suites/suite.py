"""Suites: verification prompts with expectations, in YAML with promptfoo's names (`suite_reading` has the format)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.jobs.checks import KINDS, SET, Expectation
from lora_tui.jobs.job import Prompt
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.resources import shipped


class Case(msgspec.Struct, frozen=True):
    """One prompt and what its answer must show."""

    description: str
    prompt: str
    expectations: tuple[Expectation, ...]
    threshold: float | None = None  # the weighted share of expectations that is enough; None: all
    repeat: int = 0  # samples to take of it; 0: as many as the suite or the run says
    language: str = ""
    tags: tuple[str, ...] = ()

    @property
    def is_timed(self) -> bool:
        """Whether it expects an answer within some time."""
        return any(_is_timed(item) for item in self.expectations)


class Suite(msgspec.Struct, frozen=True):
    """A named list of cases."""

    name: str
    description: str
    path: Path
    cases: tuple[Case, ...]
    repeat: int = 1  # samples of each prompt, where the run says nothing else
    sha256: str = ""  # of its file when a run of it was made; empty where it was read for anything else


def _is_timed(wanted: Expectation) -> bool:
    return wanted.kind == "latency" or (wanted.type == SET and any(map(_is_timed, wanted.value)))


def suite_paths(workspace: Workspace) -> dict[str, Path]:
    """Every known suite by name; a person's own in <workspace>/profiles/suites wins over a shipped one."""
    found: dict[str, Path] = {}
    for folder in (shipped("profiles") / "suites", workspace.profiles / "suites"):
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.y*ml"))})
    return found


def suite_path(workspace: Workspace, name: str) -> Path:
    """Where the suite called `name` is, or the file `name`. Raises BadInput when there is none."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else suite_paths(workspace).get(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted(suite_paths(workspace))) or "none"
        raise BadInput(f"there is no suite {name!r}", fix=f"Known suites: {known}.")
    return path


def load_suite(workspace: Workspace, name: str) -> Suite:
    """The suite called `name`, or the one in the file `name`. Raises BadInput with file and line."""
    return read_suite(suite_path(workspace, name))


def read_suite(path: Path) -> Suite:
    """Read one suite file. Raises BadInput with the line of the first mistake."""
    from lora_tui.verify.suites.reading import Reader

    suite, problems = Reader(path).read()
    if suite is None:
        raise problems[0]
    return suite


def sample_prompts(workspace: Workspace, profile: Profile, *, every: bool = False) -> tuple[Prompt, ...]:
    """The first prompts of the profile's suite (`every`: all), to be answered while it trains; none without a suite.

    They come with the expectations that the text alone decides: while it trains, no code is executed and nobody judges.
    """
    wanted = profile.verification
    if not wanted.suite:
        return ()
    return tuple(
        Prompt(prompt=case.prompt, expectations=tuple(_plain(case)))
        for case in load_suite(workspace, wanted.suite).cases[: None if every else wanted.while_training]
    )


def _plain(case: Case) -> list[tuple[str, object]]:
    deciding = [item for item in case.expectations if item.kind in KINDS and item.weight and item.threshold is None]
    return [(item.type, "" if item.value is None else item.value) for item in deciding]
