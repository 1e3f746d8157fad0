"""Bringing checkpoints here beside the work: none is passed over, and trouble is told once."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from lora_tui.backends.rented import keeper
from lora_tui.backends.rented.connection import Dropped, Target
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile


@pytest.fixture
def run(workspace: Workspace) -> Run:
    job = Train(profile=Profile(name="p", model=Model(base="x")), base="x", dataset="y")
    return supervisor.create(workspace, job, "kept")


def _keeper(run: Run) -> keeper.Keeper:
    target = Target(name="gpu", address="127.0.0.1", known_hosts=Path("none"))
    return keeper.Keeper(target, "python3", run, journal.Journal(run.journal), "there")


def test_a_checkpoint_made_while_another_is_brought_is_brought_behind_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> int:
        looks, go_on = 0, asyncio.Event()

        async def keep(*_: object) -> None:
            nonlocal looks
            looks += 1
            await go_on.wait()

        monkeypatch.setattr(keeper, "keep", keep)
        found = _keeper(run)
        found.wake()
        await asyncio.sleep(0.01)
        found.wake()
        go_on.set()
        await asyncio.sleep(0.01)
        await found.end()
        return looks

    assert asyncio.run(work()) == 2


def test_what_fails_is_tried_again_and_told_once_but_for_drops(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_AGAIN_SECONDS", 0.0)
    ends: list[Exception] = [Dropped(), OSError("no room"), OSError("no room"), LoraTuiError("it is gone")]

    async def keep(*_: object) -> None:
        if ends:
            raise ends.pop(0)

    monkeypatch.setattr(keeper, "keep", keep)

    async def work() -> None:
        found = _keeper(run)
        found.wake()
        await asyncio.sleep(0.05)
        await found.end()

    asyncio.run(work())
    assert not ends
    said = [event.message for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Warned)]
    assert [message.rpartition(": ")[2] for message in said] == ["no room", "it is gone"]


def test_a_look_that_does_not_hear_that_it_is_to_leave_off_does_not_keep_the_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def keep(*_: object) -> None:  # before Python 3.12 `asyncio.wait_for` drops a cancellation now and then
        nonlocal looks
        looks += 1
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(keeper, "keep", keep)

    async def work() -> None:
        found = _keeper(run)
        found.wake()
        await asyncio.sleep(0)
        ending = asyncio.create_task(found.end())
        assert (await asyncio.wait({ending}, timeout=5))[0]

    asyncio.run(work())
    assert looks == 1
