"""Suites: one is opened, its prompts and expectations are changed, tried and saved."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from screen_text import shown, text_of, until
from textual.widgets import Input, TextArea

import run_stories
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.sessions import draft
from lora_tui.verify import code_checks
from lora_tui.verify.sandbox import Result
from lora_tui.verify.suites.suite import read_suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from run_stories import NOW

SUITE = """\
# What our robot must know.
description: Robots
prompts: ['{{prompt}}']

tests:
  # The first law.
  - description: a greeting # in English
    vars:
      prompt: Greet me. # politely
    assert:
      # Any of these.
      - type: icontains-any
        value: [hello, good morning]
      - type: not-contains
        value: 'boss' # never

  - description: a sum
    vars: {prompt: "What is 2 + 2?"}
    assert: [{type: regex, value: '\\b4\\b'}]
"""


@pytest.fixture
def robots(workspace: Workspace) -> Path:
    """A suite of one's own, with comments."""
    path = workspace.profiles / "suites" / "robots.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SUITE)
    return path


def app(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "verify", clock=lambda: NOW)


async def opened(pilot: Any) -> None:
    """The editor of the first suite of the list."""
    await pilot.press("e")
    await shown(pilot.app, "robots", "gerbil", "shipped")
    await pilot.press("enter")
    await shown(pilot.app, "a greeting", "Greet me.", "icontains-any")


async def test_only_the_line_that_was_changed_is_another_and_shipped_ones_become_copies(
    workspace: Workspace, robots: Path
) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("e")
        await shown(pilot.app, "prompt", "threshold")
        pilot.app.screen.query_one("#var-0", TextArea).text = "Greet me twice."
        await pilot.press("ctrl+s")
        await shown(pilot.app, "Greet me twice.", "not saved")
        assert robots.read_text() == SUITE
        await pilot.press("s")
        await shown(pilot.app, "saved")
        assert robots.read_text() == SUITE.replace("Greet me. #", "Greet me twice. #")
        await pilot.press("u")
        await shown(pilot.app, "not saved")
        await pilot.press("s")
        await until(lambda: robots.read_text() == SUITE)
        await pilot.press("escape", *"jjj", "enter")
        await shown(pilot.app, "shipped; saved as your own copy")
        shipped = pilot.app.screen.editing.path
        before = shipped.read_text()
        await pilot.press("x", "s")
        own = workspace.profiles / "suites" / shipped.name
        await until(own.is_file)
        assert len(read_suite(own).cases) == len(read_suite(shipped).cases) - 1
        assert shipped.read_text() == before


async def test_an_expectation_is_added_by_choosing_what_it_says_and_trying_it(
    workspace: Workspace, robots: Path
) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("tab", "a")
        await shown(pilot.app, "What must an answer show?", "contains-all", "holds every one of several texts")
        await pilot.press(*"jjjjjj", "enter")  # regex
        await shown(pilot.app, "‹ regex ›", "a pattern, as in")
        await pilot.press(*"hel(")
        await shown(pilot.app, "not a regular expression")
        await pilot.press("ctrl+s")
        await shown(pilot.app, "‹ regex ›")
        pilot.app.screen.query_one("#value", TextArea).text = "(?i)hel+o"
        pilot.app.screen.query_one("#weight", Input).value = "2"
        pilot.app.screen.query_one("#answer", TextArea).text = "Bye"
        await shown(pilot.app, "✗ the answer does not pass")
        pilot.app.screen.query_one("#answer", TextArea).text = "Hello, you"
        await shown(pilot.app, "✓ the answer passes")
        await pilot.press("ctrl+s")
        await shown(pilot.app, "(?i)hel+o", "×2")
        await pilot.press("t")
        await shown(pilot.app, "together: passed")
        await pilot.press("escape", "tab", "t")
        await shown(pilot.app, "✓ icontains-any", "✓ regex '(?i)hel+o'", "together: passed")
        await pilot.press("ctrl+end", *" boss")
        await shown(pilot.app, "✗ not-contains 'boss'", "together: failed")
        await pilot.press("escape", "s")
        await until(lambda: "hel+o" in robots.read_text())
    added = "      - type: regex\n        value: (?i)hel+o\n        weight: 2\n"
    assert robots.read_text() == SUITE.replace("'boss' # never\n", f"'boss' # never\n{added}")


async def test_the_code_of_a_typed_answer_is_run_when_asked_for(
    workspace: Workspace, robots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run_tests(language: str, code: str, tests: str, *, limits: Any) -> Result:
        ran.append(code)
        return Result("passed", "")

    monkeypatch.setattr(code_checks, "run_tests", run_tests)
    robots.write_text(
        "prompts: [Double 4.]\ntests:\n  - metadata: {language: python}\n    assert:\n"
        "      - type: x-code-tests\n        value: {tests: assert double(4) == 8}\n"
    )
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await shown(pilot.app, "robots", "gerbil")
        await pilot.press("enter")
        await shown(pilot.app, "x-code-tests", "assert double(4) == 8")
        await pilot.press("t", *"def double", "ctrl+r")
        await shown(pilot.app, "✓ x-code-tests (python)", "together: passed")
        await pilot.press("x")
        await shown(pilot.app, "its code is run when you ask for it", "together: not run")
    assert ran == ["def double"]


async def test_prompts_are_added_copied_and_removed_and_every_step_is_taken_back(
    workspace: Workspace, robots: Path
) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("d", "x", "a")
        await shown(pilot.app, "A new prompt")
        pilot.app.screen.query_one("#var-0", TextArea).text = "Say:\n  nothing"
        pilot.app.screen.query_one("#language", Input).value = "python"
        await pilot.press("ctrl+s")
        text = await shown(pilot.app, "3 prompts", "nothing is expected yet")
        assert "python" in text
        await pilot.press("tab", "a", "enter")
        await shown(pilot.app, "‹ contains ›")
        await pilot.press(*"quiet", "ctrl+s")
        await shown(pilot.app, "contains", "quiet")
        await pilot.press("s")
        await until(lambda: "quiet" in robots.read_text())
        made = read_suite(robots).cases[-1]
        assert (made.prompt, made.language, made.expectations[0].value) == ("Say:\n  nothing", "python", "quiet")
        assert robots.read_text().startswith(SUITE)
        await pilot.press(*"uuuu")
        await shown(pilot.app, "2 prompts")
        assert pilot.app.screen.editing.text == SUITE
        await pilot.press("u")
        await shown(pilot.app, "nothing to take back")


async def test_a_prompt_is_changed_without_the_variables_of_others_and_keeps_its_threshold_to_the_digit(
    workspace: Workspace, robots: Path
) -> None:
    text = (
        "prompts: ['{{prompt}}']\ntests:\n  - vars: {prompt: One.}\n    threshold: 0.6666666\n    assert: []\n"
        "  - vars: {prompt: Two., context: much, more: x, extra: ''}\n    assert: []\n"
    )
    robots.write_text(text)
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await shown(pilot.app, "robots", "gerbil")
        await pilot.press("enter")
        await shown(pilot.app, "One.", "Two.")
        await pilot.press("e")
        await shown(pilot.app, "prompt", "context", "more")
        pilot.app.screen.query_one("#var-0", TextArea).text = "Uno."
        await pilot.press("ctrl+s")
        await shown(pilot.app, "Uno.", "not saved")
        await pilot.press("j", "e")
        await shown(pilot.app, "much")
        pilot.app.screen.query_one("#var-0", TextArea).text = "Due."
        await pilot.press("ctrl+s")
        await shown(pilot.app, "Due.")
        await pilot.press("a")
        await shown(pilot.app, "A new prompt")
        await pilot.press("ctrl+s")  # the form is higher than the window
        await shown(pilot.app, "prompt is empty: a prompt asks something")
        await pilot.press("escape", "s")
        await until(lambda: robots.read_text() == text.replace("One.", "Uno.").replace("Two.", "Due."))


async def test_what_is_not_saved_outlives_the_app(workspace: Workspace, robots: Path) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("x")
        await shown(pilot.app, "1 prompt ")
        await pilot.press("escape")
        await shown(pilot.app, "Not saved", "give the changes up")
        await pilot.press("j", "enter")
        await shown(pilot.app, "own, draft")
    assert robots.read_text() == SUITE
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await shown(pilot.app, "own, draft")
        await pilot.press("enter")
        await shown(pilot.app, "1 prompt ", "not saved")
        await pilot.press("u")
        await shown(pilot.app, "2 prompts")
        await pilot.press("escape")
        await until(lambda: "gerbil" in text_of(pilot.app) and "draft" not in text_of(pilot.app))


async def test_what_an_editor_left_is_not_put_over_later_changes_unasked(
    workspace: Workspace, robots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edits(old: str, new: str, ends: LoraTuiError | None = None) -> None:
        def run_editor(_: str, path: Path) -> LoraTuiError | None:
            path.write_text(path.read_text().replace(old, new))
            return ends

        monkeypatch.setattr(draft, "run_editor", run_editor)

    monkeypatch.setattr(LoraTuiApp, "suspend", lambda app: nullcontext())
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        edits("Greet me", "Meet me", LoraTuiError("the editor ended with code 1"))
        await pilot.press("E")
        await shown(pilot.app, "ended with code 1")
        await pilot.press("escape", "j", "x")  # the second prompt is taken out
        await shown(pilot.app, "1 prompt ")
        edits("boss", "chief")
        await pilot.press("E")
        await shown(pilot.app, "Your editor left another text", "go on with what it left")
        await pilot.press("j", "enter")
        await until(lambda: "'chief'" in pilot.app.screen.editing.text)
        await shown(pilot.app, "1 prompt ", "Greet me.")
        await pilot.press("E")
        await until(lambda: pilot.app.screen.editing.steps == 2)  # nothing was left: it is not asked
        edits("Greet", "Meet", LoraTuiError("the editor ended with code 1"))
        await pilot.press("E")
        await shown(pilot.app, "ended with code 1")
        edits("chief", "chef")
        await pilot.press("escape", "E")
        await shown(pilot.app, "go on with what it left")
        await pilot.press("enter")
        await shown(pilot.app, "Meet me.")
        assert "'chef'" in pilot.app.screen.editing.text


async def test_a_suite_is_made_of_held_out_test_examples(workspace: Workspace) -> None:
    dataset = run_stories.write_dataset(workspace)
    rows = [
        Row(id=str(n), language="rust", messages=[RowMessage("user", f"Ask {n}"), RowMessage("assistant", "Said.")])
        for n in range(3)
    ]
    (dataset.folder / "test.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await shown(pilot.app, "gerbil")
        await pilot.press("h")
        await shown(pilot.app, "Of which dataset's test examples", dataset.label)
        await pilot.press("enter")
        await shown(pilot.app, "At most how many")
        await pilot.press("ctrl+u", "2", "enter")
        await shown(pilot.app, "What is it called?", "rust-1-held-out")
        await pilot.press("enter")
        await shown(pilot.app, "2 prompts", "Ask 0", "llm-rubric")
    assert len(read_suite(workspace.profiles / "suites" / "rust-1-held-out.yaml").cases) == 2


async def test_a_mistake_is_told_with_its_line_and_nothing_is_lost(
    workspace: Workspace, robots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        pilot.app.screen.editing.change(SUITE.replace("type: not-contains", "type: not-contians"))
        await pilot.press("s")
        await shown(pilot.app, "This did not work", "not-contians", "robots.yaml:14", "kept as a draft")
        await pilot.press("escape", "c")
        await shown(pilot.app, "robots.yaml:14")
        await pilot.press("escape")
        robots.write_text(SUITE + "# another program\n")
        await pilot.press("u", "x", "s")
        await shown(pilot.app, "Another program changed the file")
    assert robots.read_text().endswith("# another program\n")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_looks(workspace: Workspace, robots: Path, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await opened(pilot)
        await pilot.press("tab")

    assert snap_compare(app(workspace), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_the_list_looks(workspace: Workspace, robots: Path, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await pilot.press("e")
        await shown(pilot.app, "robots", "Robots")
        await until(lambda: "–" not in text_of(pilot.app))

    assert snap_compare(app(workspace), terminal_size=size, run_before=ready)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_the_form_looks(workspace: Workspace, robots: Path, size: tuple[int, int], snap_compare: Any) -> None:
    async def ready(pilot: Any) -> None:
        await opened(pilot)
        await pilot.press("tab", "e")
        await shown(pilot.app, "‹ icontains-any ›")
        pilot.app.screen.query_one("#answer", TextArea).text = "Hello, you."
        await shown(pilot.app, "✓ the answer passes")

    assert snap_compare(app(workspace), terminal_size=size, run_before=ready)
