"""The format of suites: promptfoo's configuration as far as it says what is asked and expected, and three own checks.

Read of a suite: description, prompts (texts, files, `raw`, `label`), defaultTest, tests, scenarios,
evaluateOptions.repeat. Of a test: description, vars (a list of texts makes a test of each), assert, threshold, prompts
(which of them are asked), metadata (language, tags) and options (prefix, suffix, repeat, disableVarExpansion,
disableDefaultAsserts). Of an assertion: type, value, threshold, weight, metric, and the assertions of an assert-set.
Tests, a defaultTest, vars and values may stand in files beside the suite. What says only who is asked, how that is
shown or where results go is accepted and left alone. Every other name is refused with its file and line, because an
expectation that is silently not checked always passes; so is code, because none of a suite is executed.

A test that expects nothing is one that a person judges, as with promptfoo: it has the expectation `human`.

Own, and with a prefix that is no name of promptfoo's: x-code-parses, x-code-runs {language, harness, timeout},
x-code-tests {language, tests, timeout}; a test's metadata.language says the language where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from lora_tui.jobs.checks import Expectation
from lora_tui.verify.suites import expectations as suite_expectations
from lora_tui.verify.suites import nodes as suite_nodes
from lora_tui.verify.suites import test_entries as suite_tests
from lora_tui.verify.suites import texts as suite_texts
from lora_tui.verify.suites.nodes import wrong
from lora_tui.verify.suites.suite import Case, Suite
from lora_tui.verify.suites.templates import expanded, filled
from lora_tui.verify.suites.texts import Template
from lora_tui.workspace.errors import BadInput

_LEFT_ALONE = {"tags", "providers", "targets", "outputPath", "sharing", "env", "metadata", "writeLatestResults"}
_LEFT_ALONE |= {"derivedMetrics", "tracing", "redteam", "assertionTemplates", "$schema"}
_CODE = {"extensions", "nunjucksFilters"}
_SUITE_KEYS = {"description", "prompts", "defaultTest", "tests", "scenarios", "repeat"}
_SUITE_KEYS |= {"evaluateOptions", "commandLineOptions"} | _LEFT_ALONE | _CODE
_TEST_CODE = {"assertScoringFunction", "providerOutput"}
_TEST_KEYS = {"description", "vars", "assert", "metadata", "options", "threshold", "prompts", "provider", "providers"}
_TEST_KEYS |= _TEST_CODE
_SCENARIO_KEYS = {"description", "config", "tests"}
_OPTION_CODE = {"transform", "postprocess", "transformVars", "storeOutputAs"}
_OPTION_KEYS = {"prefix", "suffix", "repeat", "disableVarExpansion", "disableDefaultAsserts"}
_OPTION_KEYS |= {"provider", "rubricPrompt", "factuality", "disableConversationVar", "runSerially"}
_JUDGED = Expectation("human")


_T = TypeVar("_T")


class _Test(msgspec.Struct, frozen=True):
    description: str = ""
    vars: dict[str, Any] = {}
    expectations: tuple[Expectation, ...] = ()
    options: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    threshold: float | None = None
    prompts: tuple[str, ...] | None = None  # the labels of those to ask; None: all

    def under(self, above: _Test) -> _Test:
        """The test with what it does not say itself taken from `above`."""
        inherited = () if self.options.get("disableDefaultAsserts") else above.expectations
        return _Test(
            description=self.description or above.description,
            vars={**above.vars, **self.vars},
            expectations=(*inherited, *self.expectations),
            options={**above.options, **self.options},
            metadata={**above.metadata, **self.metadata},
            threshold=self.threshold if self.threshold is not None else above.threshold,
            prompts=self.prompts if self.prompts is not None else above.prompts,
        )


class Reader:
    """Turns YAML nodes into a Suite; nodes, not plain data, because they know their file and line."""

    def __init__(self, path: Path, *, text: str | None = None) -> None:
        """`text` is what is to stand at `path`, instead of what does."""
        self._path = path
        self._text = text
        self._folder = path.parent
        self._problems: list[BadInput] = []

    def read(self) -> tuple[Suite | None, list[BadInput]]:
        """The suite with nothing, or None with everything that is wrong, each with its file and line."""
        suite = None
        try:
            root = suite_nodes.read(self._path, self._text)
            if root is None:
                raise BadInput("a suite must be a mapping", where=f"{self._path}:1")
            suite = self._suite(root)
        except BadInput as error:
            self._problems.append(error)
        return (None if self._problems else suite), self._problems

    def _suite(self, node: yaml.Node) -> Suite:
        fields = suite_nodes.mapping(node, _SUITE_KEYS, "a suite")
        for name in sorted(_CODE & set(fields)):
            if suite_nodes.data(fields[name]):
                raise wrong(fields[name], f"`{name}` is code of the suite, which is not executed")
        templates = self._templates(fields)
        default = self._default(fields["defaultTest"]) if "defaultTest" in fields else _Test()
        cases: list[Case] = []
        for at, test in self._tests(fields, node):
            cases += self._kept(partial(self._cases, at, test.under(default), templates))
        if not cases and not self._problems:
            raise wrong(node, "a suite needs at least one test")
        return Suite(
            self._path.stem, suite_nodes.text(fields, "description"), self._path, tuple(cases), self._repeat(fields)
        )

    def _kept(self, read: Callable[[], Iterator[_T]]) -> list[_T]:
        """What `read` finds; a mistake in it is noted, and the rest of the file is read on."""
        try:
            return list(read())
        except BadInput as error:
            self._problems.append(error)
            return []

    def _repeat(self, fields: dict[str, yaml.Node]) -> int:
        found = 1
        for name in ("evaluateOptions", "commandLineOptions"):
            options = suite_nodes.options(fields, name)
            if "repeat" in options:
                found = _count(fields[name], options["repeat"])
        return _count(fields["repeat"], suite_nodes.data(fields["repeat"])) if "repeat" in fields else found

    def _templates(self, fields: dict[str, yaml.Node]) -> list[Template]:
        if "prompts" not in fields:
            return [Template("{{prompt}}")]
        try:
            return suite_texts.templates(suite_nodes.data(fields["prompts"]), self._folder)
        except ValueError as error:
            raise wrong(fields["prompts"], str(error)) from error

    def _default(self, node: yaml.Node) -> _Test:
        if isinstance(node, yaml.ScalarNode) and suite_texts.is_file(node.value):
            read = suite_nodes.read(self._folder / str(node.value).removeprefix("file://"))
            return self._test(read) if read is not None else _Test()
        return self._test(node)

    def _tests(self, fields: dict[str, yaml.Node], node: yaml.Node) -> Iterator[tuple[yaml.Node, _Test]]:
        """Every test with where it stands; without any, one that asks the prompts as they are."""
        if "tests" not in fields and "scenarios" not in fields:
            yield node, _Test()
        if "tests" in fields:
            yield from self._listed(fields["tests"])
        if "scenarios" in fields:
            for scenario in self._kept(partial(suite_tests.within, fields["scenarios"], self._folder)):
                yield from self._kept(partial(self._scenario, scenario))

    def _listed(self, node: yaml.Node) -> Iterator[tuple[yaml.Node, _Test]]:
        for item in self._kept(partial(suite_tests.within, node, self._folder)):
            noted = len(self._problems)
            read = self._kept(partial(self._one, item))
            if len(self._problems) == noted:
                yield from ((item, test) for test in read)

    def _one(self, node: yaml.Node) -> Iterator[_Test]:
        yield self._test(node)

    def _scenario(self, node: yaml.Node) -> Iterator[tuple[yaml.Node, _Test]]:
        """Each test of a scenario under each of its sets of data."""
        fields = suite_nodes.mapping(node, _SCENARIO_KEYS, "a scenario")
        if "config" not in fields:
            raise wrong(node, "a scenario needs `config`, a list of what its tests are asked with")
        tests = list(self._listed(fields["tests"])) if "tests" in fields else [(node, _Test())]
        for _, data in list(self._listed(fields["config"])):
            yield from ((at, test.under(data)) for at, test in tests)

    def _cases(self, node: yaml.Node, test: _Test, templates: list[Template]) -> Iterator[Case]:
        expectations = test.expectations or (_JUDGED,)
        if not any(item.weight for item in expectations):
            raise wrong(node, "a test whose every `assert` has weight 0 would always pass")
        asked = [one for one in templates if test.prompts is None or {one.label, one.text} & set(test.prompts)]
        if not asked:
            raise wrong(node, f"no prompt is called {', '.join(test.prompts or ())}")
        options, tags = test.options, test.metadata.get("tags", [])
        language = str(test.metadata.get("language", "")).strip().lower()  # as sessions and the sandbox name it
        try:
            ways = list(expanded(test.vars, self._folder, every=not options.get("disableVarExpansion")))
            prompts = [
                (f"{options.get('prefix', '')}{filled(one.text, values)}{options.get('suffix', '')}", values)
                for values in ways
                for one in asked
            ]
        except ValueError as error:
            raise wrong(node, str(error)) from error
        for prompt, values in prompts:
            yield Case(
                description=test.description or prompt,
                prompt=prompt,
                expectations=tuple(
                    suite_expectations.with_values(node, item, values, language, self._folder) for item in expectations
                ),
                threshold=test.threshold,
                repeat=_count(node, options["repeat"]) if "repeat" in options else 0,
                language=language,
                tags=tuple(map(str, tags if isinstance(tags, list) else [tags])),
            )

    def _test(self, node: yaml.Node) -> _Test:
        fields = suite_nodes.mapping(node, _TEST_KEYS, "a test")
        for name in sorted(_TEST_CODE & set(fields)):
            why = "an answer is asked of a model" if name == "providerOutput" else "code of a suite is not executed"
            raise wrong(fields[name], f"`{name}` is not read: {why}")
        expectations: list[Expectation] = []
        if "assert" in fields and fields["assert"].tag != "tag:yaml.org,2002:null":
            for item in suite_nodes.sequence(fields["assert"], "assert"):
                expectations += self._kept(partial(_expectation, item))
        return _Test(
            description=suite_nodes.text(fields, "description"),
            vars=self._vars(fields),
            expectations=tuple(expectations),
            options=self._options(fields),
            metadata=suite_nodes.options(fields, "metadata"),
            threshold=suite_nodes.number(fields, "threshold"),
            prompts=_labels(fields["prompts"]) if "prompts" in fields else None,
        )

    def _options(self, fields: dict[str, yaml.Node]) -> dict[str, Any]:
        options = suite_nodes.options(fields, "options")
        for name in options:
            if name in _OPTION_CODE:
                raise wrong(fields["options"], f"`{name}` is code of the suite, which is not executed")
            if name not in _OPTION_KEYS:
                known = ", ".join(sorted(_OPTION_KEYS))
                raise wrong(fields["options"], f"unknown option {name!r} of a test; known: {known}")
        return options

    def _vars(self, fields: dict[str, yaml.Node]) -> dict[str, Any]:
        """The variables of a test; a text, or a list of texts, names files that hold them."""
        value = suite_nodes.data(fields["vars"]) if "vars" in fields else None
        if not isinstance(value, str | list):
            return suite_nodes.options(fields, "vars")
        found: dict[str, Any] = {}
        for name in [value] if isinstance(value, str) else value:
            try:
                files = suite_texts.named(f"file://{str(name).removeprefix('file://')}", self._folder)
                read = [suite_texts.of(item, self._folder) for item in files]
            except ValueError as error:
                raise wrong(fields["vars"], str(error)) from error
            for item in read:
                if not isinstance(item, dict):
                    raise wrong(fields["vars"], f"{name!r} must hold a mapping")
                found.update({str(key): inner for key, inner in item.items()})
        return found


def _expectation(node: yaml.Node) -> Iterator[Expectation]:
    yield suite_expectations.read(node)


def _labels(node: yaml.Node) -> tuple[str, ...]:
    return tuple(str(suite_nodes.data(item)) for item in suite_nodes.sequence(node, "prompts"))


def _count(node: yaml.Node, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise wrong(node, "`repeat` must be a whole number from 1 to 1000")
    return value
