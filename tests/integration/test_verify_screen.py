"""The Verify screen with a real run against a real server on loopback: started, followed, asked again, asked freely."""

from __future__ import annotations

import asyncio
import time

import pytest
from screen_text import shown, text_of
from textual.widgets import Input

from fakes.chat_server import chat_server
from lora_tui.jobs import supervisor
from lora_tui.tui.app import LoraTuiApp
from lora_tui.verify.reports import report
from lora_tui.workspace.layout import Workspace

SUITE = """\
tests:
  - {description: adding, vars: {prompt: "Add the numbers"}, assert: [{type: contains, value: sum}]}
  - {description: reversing, vars: {prompt: "Reverse the list"}, assert: [{type: contains, value: rev}]}
"""
WAIT = 90.0  # seconds, on a busy machine


@pytest.fixture
def suite(workspace: Workspace) -> None:
    folder = workspace.profiles / "suites"
    folder.mkdir(parents=True)
    (folder / "two.yaml").write_text(SUITE)


async def read(app: LoraTuiApp) -> None:
    """Wait until the screen has read what can be chosen."""
    end = time.monotonic() + WAIT
    while app.screen._possible is None:  # type: ignore[attr-defined]
        assert time.monotonic() < end, text_of(app)
        await asyncio.sleep(0.05)


async def choose(app: LoraTuiApp, key: str, endpoint: str) -> None:
    """Type an endpoint of one's own for a side."""
    app.simulate_key(key)
    await shown(app, "another: base:PATH")
    app.simulate_key("end")
    app.simulate_key("enter")
    await shown(app, "Endpoint")
    app.screen.query_one(Input).value = endpoint
    app.simulate_key("enter")
    await shown(app, endpoint.rpartition("#")[2] + " at 127.0.0.1")


@pytest.mark.usefixtures("suite")
async def test_a_comparison_is_started_followed_and_read_and_one_prompt_is_asked_again(workspace: Workspace) -> None:
    known = {"base": "I would sum or rev", "tuned": "no idea"}

    with chat_server(lambda model, prompt: known.get(model, "nobody"), pause=0.05) as (url, seen):
        app = LoraTuiApp(workspace, "verify")
        async with app.run_test(size=(120, 40)) as pilot:
            await shown(app, "Nothing compared yet")
            await read(app)
            await pilot.press("c")
            await shown(app, "two")
            await pilot.press("end", "enter")
            await choose(app, "b", f"openai:{url}#base")
            await choose(app, "t", f"openai:{url}#tuned")
            await pilot.press("s")
            text = await shown(app, "0 gained, 2 lost", "I would sum or rev", "model unproven", seconds=WAIT)
            assert text.count("lost") >= 3
            known["tuned"] = "then I sum"
            await pilot.press("r")
            await shown(app, "is asked again of every side")
            await pilot.press("enter")
            await shown(app, "0 gained, 1 lost", "asked again 1×", seconds=WAIT)
            await pilot.press("f")
            await shown(app, "Ask both")
            app.screen.query_one(Input).value = "What is a list?"
            await pilot.press("enter")
            text = await shown(app, "What is a list?", "2 of 2 answers", "finished", seconds=WAIT)
            assert "then I sum" in text
            assert "I would sum or rev" in text
        asked = [request["model"] for request in seen if request["messages"][-1]["content"] == "What is a list?"]  # type: ignore[index]
        assert set(asked) == {"base", "tuned"}
    (made,) = report.reports(workspace)
    assert [outcome.asked_again for outcome in made.outcomes] == [1, 0]


@pytest.mark.usefixtures("suite")
async def test_a_comparison_stops_and_goes_on_and_does_not_hold_up_the_app(workspace: Workspace) -> None:
    with chat_server(lambda model, prompt: "sum rev " * 20, pause=0.04) as (url, _):
        app = LoraTuiApp(workspace, "verify")
        async with app.run_test(size=(120, 40)) as pilot:
            await shown(app, "Nothing compared yet")
            await read(app)
            await pilot.press("c", "end", "enter")
            await choose(app, "b", f"openai:{url}#base")
            await choose(app, "t", f"openai:{url}#tuned")
            await pilot.press("s")
            await shown(app, "sum rev sum", seconds=WAIT)
            await pilot.press("S")
            await shown(app, "s goes on where it ended", seconds=WAIT)
            assert "0 of 4 answers" not in text_of(app)
            await pilot.press("s")
            await shown(app, "0 gained, 0 lost", seconds=WAIT)
    (run,) = supervisor.runs(workspace)
    assert await asyncio.to_thread(supervisor.wait, run, 10)
