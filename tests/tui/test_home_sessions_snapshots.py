"""Home and Sessions as pictures, at the two sizes people use. Look at each one that changes before committing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import little_workspace
import msgspec
import pytest
from on_screen import shown
from textual.pilot import Pilot

from lora_tui.curation import examples, labels, queues, reading
from lora_tui.curation.examples import Filter
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

OpenApp = Callable[..., LoraTuiApp]
SIZES = [(80, 24), (160, 50)]


def _when(text: str, *keys: str, then: str = "") -> Callable[[Pilot[None]], Awaitable[None]]:
    """Wait for a text, press keys, wait for another text."""

    async def ready(pilot: Pilot[None]) -> None:
        await shown(pilot.app, text)
        await pilot.press(*keys)
        if then:
            await shown(pilot.app, then)
        await pilot.pause()

    return ready


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_home(open_app: OpenApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(open_app(), terminal_size=size, run_before=_when("Next"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_home_of_an_empty_workspace(
    open_app: OpenApp, snap_compare: Any, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = Workspace(tmp_path_factory.mktemp("empty"))
    assert snap_compare(open_app("home", empty), terminal_size=size, run_before=_when("This workspace is empty."))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_sessions(open_app: OpenApp, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(open_app("sessions"), terminal_size=size, run_before=_when("2 edits of .rs"))


def test_sessions_reading(open_app: OpenApp, snap_compare: Any) -> None:
    ready = _when("1 of 9", "enter", then="added by the agent program")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)


def test_sessions_filtered(open_app: OpenApp, snap_compare: Any) -> None:
    ready = _when("1 of 9", "l", "l", then="+4 2 code blocks")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)


def test_help(open_app: OpenApp, snap_compare: Any) -> None:
    ready = _when("2 edits of .rs", "question_mark", then="On Sessions")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)


@pytest.mark.parametrize("theme", ["lora-light", "lora-ansi"])
def test_sessions_in_other_themes(open_app: OpenApp, snap_compare: Any, little: Workspace, theme: str) -> None:
    little.config.write_text(f'theme = "{theme}"\n')
    ready = _when("1 of 9", "enter", then="added by the agent program")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_sessions_in_a_queue(open_app: OpenApp, snap_compare: Any, little: Workspace, size: tuple[int, int]) -> None:
    queue = queues.create(little, "evening", Filter(decision="unlabelled"), author="someone")
    labels.decide(little, [queues.items(little, queue)[3].example_id], "reject", author="somebody else")
    for position, action in enumerate(("accept", "reject")):
        queues.decide(little, queue, position, action)
    ready = _when("of 9", "Q", "enter", then="5 left of 7 · 1 left the filter")
    assert snap_compare(open_app("sessions"), terminal_size=size, run_before=ready)


def test_sessions_bulk(open_app: OpenApp, snap_compare: Any) -> None:
    ready = _when("1 of 9", "B", then="drawn at random")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_sessions_edited_beside_recorded(
    open_app: OpenApp, snap_compare: Any, little: Workspace, size: tuple[int, int]
) -> None:
    identity = examples.ids(little)[1]
    before = reading.example(little, identity).messages
    answer = "```rust\nv.iter().map(|x| x * x).sum::<i64>()\n```\nNo copy is made."
    labels.edit(little, identity, [before[0], msgspec.structs.replace(before[1], content=answer)], author="someone")
    ready = _when("of 9", "j", "d", then="No copy is made.")
    assert snap_compare(open_app("sessions"), terminal_size=size, run_before=ready)


def test_sessions_with_something_replaced(open_app: OpenApp, snap_compare: Any, little: Workspace) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    told = [user(f"Push with {token} and write to anna@weiss.example"), says("Pushed. I did not keep the token.")]
    store_session(little, "ses_secret", told, created=int(little_workspace.NOW * 1000) - 60_000)
    examples.refresh(little)
    ready = _when("of 10", "enter", then="replaced:")
    assert snap_compare(open_app("sessions"), terminal_size=(80, 24), run_before=ready)
