"""`lora-tui suites`, as a person types it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

import run_stories
from lora_tui.cli.main import run
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.verify.suites.suite import load_suite
from lora_tui.workspace.layout import Workspace

WRONG = """\
tests:
  - vars: {prompt: one}
    assert: [{type: contians, value: a}]
  - vars: {prompt: two}
    asert: []
"""


def typed(workspace: Workspace, *arguments: str) -> int:
    return run(["--workspace", str(workspace.root), "suites", *arguments])


def own(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.profiles / "suites" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_list_names_the_shipped_suites_ones_own_and_a_damaged_one(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    own(workspace, "broken", WRONG)
    assert typed(workspace, "list", "--json") == 0
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert {"gerbil", "general", "rust", "typescript", "python", "ruby", "swift", "tiny", "broken"} == set(found)
    assert (found["gerbil"]["prompts"], found["gerbil"]["own"]) == (5, False)
    assert (found["broken"]["prompts"], found["broken"]["own"]) == (None, True)
    assert typed(workspace, "list") == 0
    assert "cannot be read: unknown expectation 'contians'" in capsys.readouterr().out


def test_check_tells_every_mistake_with_its_place_and_fails(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own(workspace, "broken", WRONG)
    assert typed(workspace, "check", "tiny", "broken") == 2
    said = capsys.readouterr()
    assert "tiny: 5 prompts, no mistake" in said.out
    assert f"{path}:3: unknown expectation 'contians'" in said.out
    assert f"{path}:5: unknown key 'asert' in a test" in said.out
    assert typed(workspace, "check", "broken", "--json") == 2
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["ok"], [item["where"] for item in result["findings"]]) == (False, [f"{path}:3", f"{path}:5"])


def test_check_says_what_cannot_be_judged_here(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own(workspace, "judged", "tests: [{vars: {prompt: p}, assert: [{type: llm-rubric, value: kind}]}]\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert os.environ["PATH"] == str(tmp_path)
    assert typed(workspace, "check", "judged", "swift", "rust") == 0
    said = capsys.readouterr().out
    assert "1 of 1 prompts cannot be judged here: no judge has read it" in said
    assert "swift: 20 prompts, no mistake\n" in said
    assert "20 of 20 prompts cannot be judged here: " in said


def test_new_writes_a_skeleton_that_can_be_used_and_never_writes_over(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(workspace, "new", "mine", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["prompts"] == len(load_suite(workspace, "mine").cases) == 3
    Path(made["path"]).write_text("mine\n")
    assert typed(workspace, "new", "mine") == 2
    assert Path(made["path"]).read_text() == "mine\n"
    assert typed(workspace, "new", "../mine") == 2
    assert typed(workspace, "new", "other", "--from-test", "3") == 2
    assert "needs a dataset" in capsys.readouterr().err


def test_new_takes_no_name_that_a_shipped_suite_has_or_that_would_never_be_found(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(workspace, "new", "rust") == 2
    assert "there is a suite 'rust' already" in capsys.readouterr().err
    assert len(load_suite(workspace, "rust").cases) == 20
    mine = own(workspace, "mine", WRONG)
    mine.rename(mine.with_suffix(".yml"))
    assert typed(workspace, "new", "mine") == 2
    for name in ("x" * 300, "a\nb", " ", "a\udcff"):
        assert typed(workspace, "new", name) == 2
        assert "is no name for a suite" in capsys.readouterr().err
    assert [path.name for path in mine.parent.iterdir()] == ["mine.yml"]


def test_new_makes_a_suite_of_held_out_test_examples(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = run_stories.write_dataset(workspace)
    asked = [
        ("Add two numbers", "Here:\n\n```rust\nfn add(a: i32, b: i32) -> i32 { a + b }\n```"),
        ("What is a trait?", "A set of methods: 'quoted'\nand more."),
        ("Use {{x}} in a template", "It is filled in."),
        ("Add two numbers", "the same again"),
        ("And a third?", "Yes."),
    ]
    rows = [
        Row(id=str(n), language="rust", messages=[RowMessage("user", ask), RowMessage("assistant", said)])
        for n, (ask, said) in enumerate(asked)
    ]
    (dataset.folder / "test.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    assert typed(workspace, "new", "held", "--dataset", "rust", "--from-test", "2") == 0
    assert "2 prompts" in capsys.readouterr().out
    cases = load_suite(workspace, "held").cases
    assert [case.prompt for case in cases] == ["Add two numbers", "What is a trait?"]
    assert [item.type for case in cases for item in case.expectations] == ["x-code-parses", "llm-rubric"]
    assert cases[0].expectations[0].value == {"language": "rust"}
    assert cases[1].expectations[0].value.endswith("A set of methods: 'quoted'\nand more.")
    (dataset.folder / "test.jsonl").write_bytes(b"")
    assert typed(workspace, "new", "none", "--dataset", "rust") == 2
    assert "no test example holds a request" in capsys.readouterr().err


def test_try_tells_what_a_prompt_says_of_an_answer(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own(workspace, "mine", "prompts: [a]\ntests: [{assert: [{type: icontains, value: yes}, {type: is-json}]}]\n")
    answer = tmp_path / "answer.txt"
    answer.write_text('"Yes"')
    assert typed(workspace, "try", "mine", "1", str(answer)) == 0
    assert capsys.readouterr().out == "✓ icontains 'yes'\n✓ is-json\ntogether: passed\n"
    answer.write_text("Yes")
    assert typed(workspace, "try", "mine", "1", str(answer), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], [item["passed"] for item in told["checks"]]) == ("failed", [True, False])
    assert typed(workspace, "try", "mine", "2", str(answer)) == 2
    assert "mine has 1 prompts" in capsys.readouterr().err
