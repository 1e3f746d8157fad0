"""From a failing prompt on the screen to what training lacks, and to a queue for Sessions."""

from __future__ import annotations

import pytest
from screen_text import shown, until

import lessons_told
from lora_tui.curation import queues
from lora_tui.tui.app import LoraTuiApp
from lora_tui.verify.reports import files as report_files
from lora_tui.workspace.layout import Workspace
from run_stories import NOW


@pytest.fixture
def told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Examples of Ruby, a version trained on some, and its report: prompt 2 fails, and what it asks for is nowhere."""
    monkeypatch.setenv("USER", "someone")
    lessons_told.fill(workspace)
    lessons_told.train(workspace)
    found = lessons_told.report(workspace)
    report_files.write(found, workspace.reports / found.id)
    return workspace


async def test_w_says_what_the_examples_lack_and_queues_what_could_help(told: Workspace) -> None:
    app = LoraTuiApp(told, "verify", clock=lambda: NOW)
    async with app.run_test(size=(120, 50), notifications=True) as pilot:
        await shown(app, "fail")
        while "Rack middleware" not in (await shown(app, "you ")).partition("you ")[2].partition("\n")[0]:
            await pilot.press("j")
        await pilot.press("w")
        await shown(
            app,
            "What training lacks for prompt 2",
            "✗ 0 of the 24 Ruby examples of ruby@1 mention Rack middleware;",
            "is not proposed, it would be training on the test",
            "enter queue 2 to label",
        )
        await pilot.press("enter")
        await shown(app, "Queue lessons-", "Sessions opens it.")
        await until(lambda: [queue.total for queue in queues.listed(told, "someone")] == [2])


async def test_a_prompt_that_passed_teaches_nothing_and_says_so(told: Workspace) -> None:
    app = LoraTuiApp(told, "verify", clock=lambda: NOW)
    async with app.run_test(size=(120, 50)) as pilot:
        await shown(app, "both pass")
        await pilot.press("G", "w")
        await shown(app, "passed prompt 1 every time")
        await pilot.press("escape")
        await shown(app, "both pass")
