"""Whether code parses, runs, and passes tests. Code is executed in a sandbox or not at all."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from functools import lru_cache
from pathlib import Path

import msgspec

from lora_tui.sources.code import quality
from lora_tui.verify.sandbox.choosing import Choice, Sandbox, choose, folders
from lora_tui.verify.sandbox.languages import table
from lora_tui.verify.sandbox.limits import Limits, Result, Step, Verdict
from lora_tui.verify.sandbox.toolchain import Toolchain, in_image, toolchain
from lora_tui.verify.sandbox.watched import Ended, watched

_LONGEST_REASON = 300
_SAMPLE_SECONDS = 60.0
_SAYS_NOTHING = re.compile(
    r"at |[)}\]]|Node\.js v|For more information|error: aborting|error: could not compile|test result:"
)


def available(language: str = "") -> Sandbox | None:
    """The sandbox that code (of a language, whose container image may be here) would run in; None: none works."""
    choice = _choice(language)
    return choice.make() if choice.name else None


def why_unavailable(language: str = "") -> str:
    """Why there is no sandbox, each kind with its reason; '' when there is one."""
    choice = _choice(language)
    return "" if choice.name else choice.why_not


def parses(language: str, code: str) -> Result:
    """Whether the whole text parses as `language`, by its tree-sitter grammar. Nothing is executed."""
    found = quality.parses(code.encode(), language)
    if found is None:
        return Result("not run", f"no grammar for {language} is known")
    if not code.strip():
        return Result("failed", "there is no code")
    return Result("passed", "it parses") if found else Result("failed", f"it does not parse as {language}")


def run_code(language: str, code: str, *, limits: Limits | None = None) -> Result:
    """Compile (where the language has that) and run `code`: it passes when it ends by itself with status 0."""
    return _run(language, code, None, limits or Limits())


def run_tests(language: str, code: str, tests: str, *, limits: Limits | None = None) -> Result:
    """Run `tests` against `code`: they pass when they end with status 0 after the last of them.

    Tests are code of the language that sees what `code` defines and ends with an error at the first that fails:
    `assert` (Python), `raise … unless` (Ruby), functions with `#[test]` (Rust), `throw` or node:assert (TypeScript, in
    the same file as the answer), `precondition` (Swift).
    """
    return _run(language, code, tests, limits or Limits())


def _choice(language: str) -> Choice:
    known = table().languages.get(language)
    return choose(known.image if known else "")


def _run(language: str, code: str, tests: str | None, limits: Limits) -> Result:
    if language not in table().languages:
        return Result("not run", f"no way to run {language} is known; known: {', '.join(table().languages)}")
    choice = _choice(language)
    if not choice.name:
        return Result("not run", choice.why_not)
    tools = _tools(language, choice)
    if isinstance(tools, str):
        return Result("not run", tools)
    if problem := _broken(language, choice, os.environ.get("PATH", "")):
        return Result("not run", problem)
    with tempfile.TemporaryDirectory(prefix="lora-tui-sandbox-") as name:
        return _Runner(choice, tools, limits, Path(name)).result(code, tests)


@lru_cache(maxsize=32)
def _broken(language: str, choice: Choice, path: str) -> str:
    """Why the language's programs do not work in this sandbox: its sample must pass; '' when it does."""
    known = table().languages[language]
    tools = _tools(language, choice)
    assert isinstance(tools, Toolchain)
    with tempfile.TemporaryDirectory(prefix="lora-tui-sandbox-") as name:
        limits = Limits(seconds=_SAMPLE_SECONDS)
        result = _Runner(choice, tools, limits, Path(name)).result(known.sample.code, known.sample.tests)
    if result.verdict == "passed":
        return ""
    return result.why if result.verdict == "not run" else f"{language} does not work in {choice.name}: {result.why}"


def _tools(language: str, choice: Choice) -> Toolchain | str:
    known = table().languages[language]
    return in_image(known) if choice.name in ("docker", "podman") else toolchain(language)


class _Runner:
    """One answer in one sandbox."""

    def __init__(self, choice: Choice, tools: Toolchain, limits: Limits, place: Path) -> None:
        self._choice, self._tools, self._limits = choice, tools, limits
        self._code, self._built = folders(place)

    def result(self, code: str, tests: str | None) -> Result:
        way, done = self._tools.way, secrets.token_hex(12)
        for name, text in way.files(code, tests, done).items():
            path = self._code / name
            path.write_text(text, encoding="utf-8", errors="replace")
            path.chmod(0o644)
        seconds = 0.0
        compiling = way.compile if tests is None else way.compile_tests
        if compiling:
            ended, problem = self._step(compiling, building=True)
            seconds = ended.seconds if ended else 0.0
            if ended is None or problem:
                return self._not_run(problem)
            if ended.stopped or ended.code:
                return self._result("failed", f"it does not compile: {_reason(ended)}", ended, seconds)
        ended, problem = self._step(way.run if tests is None else way.test, building=False)
        if ended is None or problem:
            return self._not_run(problem)
        seconds += ended.seconds
        if ended.stopped or ended.code:
            return self._result("failed", _reason(ended), ended, seconds)
        if tests is not None:
            passed = re.search(way.passed.replace("{done}", done), ended.stdout)
            ended = msgspec.structs.replace(ended, stdout=ended.stdout.replace(f"{done}\n", ""))
            if not passed:
                return self._result("failed", "it ended before all tests were run", ended, seconds)
        return self._result("passed", "every test passed" if tests is not None else "it ran", ended, seconds)

    def _step(self, argv: tuple[str, ...], *, building: bool) -> tuple[Ended | None, str]:
        """How a command ended; and what kept it from starting, if anything."""
        sandbox, ended = self._choice.make(), None
        step = Step(
            argv=self._tools.command(argv),
            code=self._code,
            built=self._built,
            building=building,
            homes=self._tools.homes,
            limits=self._limits,
        )
        try:
            ended = watched(
                lambda status: sandbox.command(step, status), sandbox.environment(), self._limits, step.seconds
            )
        except OSError as error:
            return None, str(error)
        finally:
            if ended is None or ended.stopped:
                sandbox.stop()
        return ended, sandbox.began(ended)

    def _not_run(self, problem: str) -> Result:
        return Result("not run", f"{self._choice.name} did not start it: {problem[:_LONGEST_REASON]}")

    def _result(self, verdict: Verdict, why: str, ended: Ended, seconds: float) -> Result:
        return Result(verdict, why, ended.stdout, ended.stderr, seconds, self._choice.name)


def _reason(ended: Ended) -> str:
    """Why it failed: the limit it met, or its last words."""
    if ended.stopped:
        return ended.stopped
    said = [line.strip() for line in (ended.stderr or ended.stdout).splitlines()]
    last = next((line for line in reversed(said) if line and not _SAYS_NOTHING.match(line)), "")
    return f"status {ended.code}: {last}"[:_LONGEST_REASON] if last else f"status {ended.code}"
