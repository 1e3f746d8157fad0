"""Suites: verification prompts with expectations, in YAML with promptfoo's names.

Read: description, prompts, defaultTest, tests[] with description, vars, assert[] of {type, value}. An unknown name is
refused with its file and line, because an expectation that is silently not checked always passes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lora_tui.jobs.checks import KINDS, known_kind, words
from lora_tui.jobs.job import Prompt
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.resources import shipped

_SUITE_KEYS = {"description", "prompts", "defaultTest", "tests"}
_TEST_KEYS = {"description", "vars", "assert", "metadata"}
_ASSERT_KEYS = {"type", "value"}
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Expectation(msgspec.Struct, frozen=True):
    """One check of an answer: promptfoo's `type` and `value`."""

    type: str
    value: Any = None

    @property
    def words(self) -> str:
        """As a person reads it: contains 'fn '."""
        return words(self.type, self.value)


class Case(msgspec.Struct, frozen=True):
    """One prompt and what its answer must show."""

    description: str
    prompt: str
    expectations: tuple[Expectation, ...]


class Suite(msgspec.Struct, frozen=True):
    """A named list of cases."""

    name: str
    description: str
    path: Path
    cases: tuple[Case, ...]


def suite_paths(workspace: Workspace) -> dict[str, Path]:
    """Every known suite by name; a person's own in <workspace>/profiles/suites wins over a shipped one."""
    found: dict[str, Path] = {}
    for folder in (shipped("profiles") / "suites", workspace.profiles / "suites"):
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.yaml"))})
    return found


def load_suite(workspace: Workspace, name: str) -> Suite:
    """The suite called `name`, or the one in the file `name`. Raises BadInput with file and line."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else suite_paths(workspace).get(name)
    if path is None or not path.is_file():
        known = ", ".join(sorted(suite_paths(workspace))) or "none"
        raise BadInput(f"there is no suite {name!r}", fix=f"Known suites: {known}.")
    return read_suite(path)


def sample_prompts(workspace: Workspace, profile: Profile, *, every: bool = False) -> tuple[Prompt, ...]:
    """The first prompts of the profile's suite (`every`: all), to be answered while it trains; none without a suite."""
    wanted = profile.verification
    if not wanted.suite:
        return ()
    return tuple(
        Prompt(prompt=case.prompt, expectations=tuple((item.type, item.value) for item in case.expectations))
        for case in load_suite(workspace, wanted.suite).cases[: None if every else wanted.while_training]
    )


def read_suite(path: Path) -> Suite:
    """Read one suite file. Raises BadInput with the line."""
    try:
        node = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the suite: {error}", where=str(path)) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BadInput(f"not valid YAML: {error.problem}", where=f"{path}:{line}") from error
    return _Reader(path).suite(node)


class _Reader:
    """Turns YAML nodes into a Suite; nodes, not plain data, because they know their line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def suite(self, node: yaml.Node | None) -> Suite:
        fields = self._mapping(node, _SUITE_KEYS, "a suite")
        templates = self._value(fields["prompts"]) if "prompts" in fields else ["{{prompt}}"]
        if isinstance(templates, str):
            templates = [templates]
        default = self._test(fields["defaultTest"]) if "defaultTest" in fields else ("", {}, ())
        cases: list[Case] = []
        for item in self._sequence(fields.get("tests"), node, "tests"):
            description, values, expectations = self._test(item)
            if not expectations and not default[2]:
                raise self._wrong(item, "a test without `assert` would always pass")
            for template in templates:
                prompt = self._filled(item, template, {**default[1], **values})
                cases.append(Case(description or prompt, prompt, (*default[2], *expectations)))
        if not cases:
            raise self._wrong(node, "a suite needs at least one test")
        description = self._value(fields["description"]) if "description" in fields else ""
        return Suite(self.path.stem, str(description), self.path, tuple(cases))

    def _test(self, node: yaml.Node) -> tuple[str, dict[str, Any], tuple[Expectation, ...]]:
        fields = self._mapping(node, _TEST_KEYS, "a test")
        expectations = tuple(
            self._expectation(item)
            for item in (self._sequence(fields["assert"], node, "assert") if "assert" in fields else ())
        )
        values = self._value(fields["vars"]) if "vars" in fields else {}
        if not isinstance(values, dict):
            raise self._wrong(fields["vars"], "`vars` must be a mapping")
        return str(self._value(fields["description"])) if "description" in fields else "", values, expectations

    def _expectation(self, node: yaml.Node) -> Expectation:
        fields = self._mapping(node, _ASSERT_KEYS, "an expectation")
        kind = self._value(fields["type"]) if "type" in fields else None
        if not isinstance(kind, str) or not known_kind(kind):
            raise self._wrong(
                fields.get("type", node),
                f"unknown expectation {kind!r}; known: {', '.join(sorted(KINDS))}, each also as not-…",
            )
        value = self._value(fields["value"]) if "value" in fields else None
        if kind.removeprefix("not-") == "regex":
            try:
                re.compile(str(value))
            except re.error as error:
                raise self._wrong(fields["value"], f"not a regular expression: {error}") from error
        return Expectation(kind, value)

    def _filled(self, node: yaml.Node, template: object, values: dict[str, Any]) -> str:
        if not isinstance(template, str):
            raise self._wrong(node, "a prompt must be text")
        missing = [name for name in _PLACEHOLDER.findall(template) if name not in values]
        if missing:
            raise self._wrong(node, f"the prompt needs `vars: {missing[0]}`")
        return _PLACEHOLDER.sub(lambda found: str(values[found.group(1)]), template)

    def _mapping(self, node: yaml.Node | None, known: set[str], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"{what} must be a mapping")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value not in known:
                raise self._wrong(key, f"unknown key {key.value!r} in {what}; known: {', '.join(sorted(known))}")
            found[key.value] = value
        return found

    def _sequence(self, node: yaml.Node | None, above: yaml.Node | None, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node or above, f"`{what}` must be a list")
        return list(node.value)

    def _value(self, node: yaml.Node) -> Any:
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()

    def _wrong(self, node: yaml.Node | None, what: str) -> BadInput:
        line = node.start_mark.line + 1 if node is not None else 1
        return BadInput(what, where=f"{self.path}:{line}")
