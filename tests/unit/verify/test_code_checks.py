"""Answers are judged by what their code does; what cannot be tried here is 'not run'."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from lora_tui.verify.sandbox import Limits, Result, available, parses, run_code, run_tests
from lora_tui.verify.sandbox.languages import table
from lora_tui.verify.sandbox.toolchain import toolchain

ADD = {
    "python": "def add(a, b):\n    return a + b\n",
    "ruby": "def add(a, b)\n  a + b\nend\n",
    "rust": "pub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n",
    "typescript": "export function add(a: number, b: number): number {\n  return a + b;\n}\n",
    "swift": "func add(_ a: Int, _ b: Int) -> Int {\n    return a + b\n}\n",
}
TESTS = {
    "python": "assert add(2, 3) == 5\n",
    "ruby": "raise 'sum' unless add(2, 3) == 5\n",
    "rust": "#[test]\nfn adds() {\n    assert_eq!(add(2, 3), 5);\n}\n",
    "typescript": "if (add(2, 3) !== 5) throw new Error('sum');\n",
    "swift": "precondition(add(2, 3) == 5)\n",
}

LONG = Limits(seconds=60, compile_seconds=200)  # a busy machine is not what these are about


@pytest.fixture(autouse=True)
def rust_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """rustup's stand-in on PATH finds its Rust by the home folder, which tests do not have."""
    homes = [Path(one.pw_dir) for one in pwd.getpwall() if one.pw_uid == os.getuid()]
    found = [bin for home in homes for bin in sorted(home.glob(".rustup/toolchains/stable-*/bin"))]
    if found:
        monkeypatch.setenv("PATH", f"{found[0]}:{os.environ['PATH']}")


def here(language: str) -> bool:
    return available(language) is not None and not isinstance(toolchain(language), str)


def outcome(result: Result, language: str) -> str:
    """The verdict; where it cannot be run, that this is what was said, and then what `passed` or `failed` would be."""
    if not here(language):
        assert result.verdict == "not run"
        assert result.sandbox == ""
    return result.verdict


@pytest.mark.parametrize("language", ADD)
def test_tests_pass_for_right_code_and_fail_for_wrong(language: str) -> None:
    right = run_tests(language, ADD[language], TESTS[language], limits=LONG)
    wrong = run_tests(language, ADD[language].replace("a + b", "a - b"), TESTS[language], limits=LONG)
    broken = run_tests(language, ADD[language].replace("(", "((", 1), TESTS[language], limits=LONG)
    found = [outcome(one, language) for one in (right, wrong, broken)]
    assert found == (["passed", "failed", "failed"] if here(language) else ["not run"] * 3), (right, wrong, broken)
    assert not right.stdout.strip() or language == "rust"


@pytest.mark.parametrize("language", ADD)
def test_every_language_of_the_table_can_at_least_be_parsed(language: str) -> None:
    assert language in table().languages
    assert parses(language, ADD[language]).verdict == "passed"
    assert parses(language, ADD[language].replace("a + b", "a + + ) b (((")).verdict == "failed"
    assert parses(language, "  \n").verdict == "failed"


def test_a_language_without_a_grammar_is_not_judged() -> None:
    assert parses("cobol", "DISPLAY 'hi'.").verdict == "not run"


def test_an_answer_that_ends_the_process_before_the_tests_has_not_passed() -> None:
    result = run_tests("python", "import os\ndef add(a, b):\n    os._exit(0)\n", TESTS["python"], limits=LONG)
    if outcome(result, "python") != "not run":
        assert (result.verdict, result.why) == ("failed", "it ended before all tests were run")
    result = run_tests("rust", ADD["rust"].replace("a + b", "std::process::exit(0)"), TESTS["rust"], limits=LONG)
    if outcome(result, "rust") != "not run":
        assert (result.verdict, result.why) == ("failed", "it ended before all tests were run")
    result = run_tests("rust", ADD["rust"], "// no test at all\n", limits=LONG)
    assert outcome(result, "rust") in ("failed", "not run")


def test_what_an_answer_does_as_a_program_is_no_part_of_its_tests() -> None:
    code = f"{ADD['python']}\nif __name__ == '__main__':\n    raise SystemExit('asked for input')\n"
    assert outcome(run_tests("python", code, TESTS["python"], limits=LONG), "python") in ("passed", "not run")
    assert outcome(run_code("python", code, limits=LONG), "python") in ("failed", "not run")


def test_braces_and_placeholders_of_an_answer_stay_the_answers() -> None:
    code = "text = '{tests}' + '{done}' + '{code}'\nprint(text, f'{len(text)}')\n"
    result = run_code("python", code, limits=LONG)
    if outcome(result, "python") != "not run":
        assert result.stdout == "{tests}{done}{code} 19\n"


def test_a_rust_library_has_run_when_it_compiles_and_its_errors_are_told() -> None:
    assert outcome(run_code("rust", ADD["rust"], limits=LONG), "rust") in ("passed", "not run")
    result = run_code("rust", 'fn main() { let x: i32 = "a"; }', limits=LONG)
    if outcome(result, "rust") != "not run":
        assert result.verdict == "failed"
        assert result.why.startswith("it does not compile: ")
        assert "mismatched types" in result.stderr


FAKE_DOCKER = """#!/bin/sh
echo "$@" >>"{log}"
case "$1" in
    version) echo 27.0 ;;
    image) [ "$5" = "python:3.13-slim" ] ;;
    run) {run} ;;
esac
"""


PASSES = r"""grep -ho "print('[0-9a-f]\{24\}')" "$(echo "$@" | sed 's/.*--volume \([^ ]*\):\/code:ro.*/\1/')"/*.py \
    | cut -d"'" -f2; echo from the container"""


def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str) -> Path:
    """An engine on PATH that notes what it is asked."""
    log = tmp_path / "asked"
    engine = tmp_path / "docker"
    engine.write_text(FAKE_DOCKER.format(log=log, run=run))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_a_container_gets_no_network_no_privileges_and_every_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = docker(tmp_path, monkeypatch, PASSES)
    result = run_code("python", "print(1)")
    assert (result.verdict, result.stdout, result.sandbox) == ("passed", "from the container\n", "docker")
    asked = [line for line in log.read_text().splitlines() if line.startswith("run ")][-1]
    for part in (
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 65534:65534",
        "--pids-limit 128",
        f"--memory {2 << 30} --memory-swap {2 << 30}",
        "--pull never",
        "/code:ro",
        "/built:ro",
    ):
        assert part in asked
    assert asked.endswith("python:3.13-slim python3 -B /code/answer.py")


def test_an_engine_that_fails_is_not_the_answers_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, "echo no space left on device >&2; exit 125")
    result = run_code("python", "print(1)")
    assert (result.verdict, result.why) == ("not run", "docker did not start it: no space left on device")


def test_a_language_without_its_image_goes_to_the_next_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = docker(tmp_path, monkeypatch, PASSES)
    result = run_code("ruby", "puts 1")
    assert result.sandbox != "docker"
    assert "run " not in log.read_text()


def test_programs_that_do_not_work_are_not_the_answers_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, "echo cannot load a library >&2; exit 1")
    result = run_tests("python", ADD["python"], TESTS["python"])
    assert result.verdict == "not run"
    assert result.why == "python does not work in docker: status 1: cannot load a library"
