"""Every prompt of the shipped suites can be passed, and failed: each has an answer that must and one that must not."""

from __future__ import annotations

import os
import pwd
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from lora_tui.jobs.checks import CARRIED, CODE_KINDS, Verdict, verdict
from lora_tui.verify.code_checks import checked, code_of
from lora_tui.verify.sandbox import available, parses
from lora_tui.verify.sandbox.toolchain import toolchain
from lora_tui.verify.suites.suite import Case, load_suite
from lora_tui.workspace.layout import Workspace

DATA = Path(__file__).parents[2] / "data" / "suites"
LANGUAGES = ("python", "ruby", "rust", "swift", "typescript")


@pytest.fixture(autouse=True)
def rust_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """rustup's stand-in on PATH finds its Rust by the home folder, which tests do not have."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    found = sorted(home.glob(".rustup/toolchains/stable-*/bin"))
    if found:
        monkeypatch.setenv("PATH", f"{found[0]}:{os.environ['PATH']}")


def answers(name: str) -> dict[str, dict[str, str]]:
    found: dict[str, Any] = yaml.safe_load((DATA / f"{name}.yaml").read_text())
    return found


def judged(case: Case, answer: str) -> Verdict:
    return verdict(checked(case.expectations, answer), case.threshold)


@pytest.mark.parametrize("name", [*LANGUAGES, "general", "gerbil"])
def test_each_prompt_is_passed_by_a_right_answer_and_not_by_a_wrong_one(workspace: Workspace, name: str) -> None:
    suite = load_suite(workspace, name)
    given = answers(name)
    assert [case.description for case in suite.cases] == list(given)
    runs = any(item.type == "x-code-tests" for case in suite.cases for item in case.expectations)
    here = not runs or (available(name) is not None and not isinstance(toolchain(name), str))
    wanted = [("passed", "failed") if here else ("not run", "not run")] * len(suite.cases)
    asked = [(case, given[case.description][kind]) for case in suite.cases for kind in ("right", "wrong")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda pair: judged(*pair), asked))
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert dict(zip(given, pairs, strict=True)) == dict(zip(given, wanted, strict=True))


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_code_of_every_right_answer_parses_also_where_it_cannot_run(name: str) -> None:
    for description, given in answers(name).items():
        assert parses(name, code_of(given["right"], name)).verdict == "passed", description


def test_the_suites_are_large_enough_and_need_no_judge(workspace: Workspace) -> None:
    for name in (*LANGUAGES, "general"):
        cases = load_suite(workspace, name).cases
        assert len({case.prompt for case in cases}) >= 20, name
        kinds = {item.kind for case in cases for item in case.expectations}
        assert not kinds & (set(CARRIED) - set(CODE_KINDS)), name
    assert len(load_suite(workspace, "gerbil").cases) == 5


def test_code_is_taken_from_the_first_block_of_its_language() -> None:
    two = "Run `pip`:\n```sh\npip\n```\nthen\n```python\na = 1\n```\nor\n```python\na = 2\n```\n"
    assert code_of(two, "python") == "a = 1\n"
    assert code_of("```\nx\n```", "ruby") == "x\n"
    assert code_of("a = 1", "python") == "a = 1"
    assert code_of("```js\nx\n```", "python") == ""
    assert code_of("```py\nx = '''\n``\n'''\n", "python") == "x = '''\n``\n'''\n"
    assert code_of("~~~~rs\nfn a() {}\n~~~\n~~~~\n", "rust") == "fn a() {}\n~~~\n"
