"""Clients that ask for a name without a pause while its meaning changes, and what must be true of their answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx
import msgspec

from lora_tui.adapters.serving import status
from lora_tui.adapters.serving.promote import promote, rollback
from lora_tui.adapters.serving.sets import Served
from lora_tui.workspace.layout import Workspace
from serving_sets import Answer, stream, url

CHANGES = ("1.1.0", "1.2.0", "1.3.0", "back", "1.4.0", "1.5.0", "back")  # five promotions, two rollbacks
MEANT = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.2.0", "1.4.0", "1.5.0", "1.4.0")


class Story(msgspec.Struct):
    """What happened: the answers, and from when on the name meant what."""

    answers: list[Answer]
    changes: list[tuple[float, str]]


async def changed_under_load(workspace: Workspace, one: Served, name: str, clients: int) -> Story:
    """Promote and roll back `name`, from its version 1.0.0 on, under as many streaming clients."""
    story = Story([], [(time.monotonic(), f"{name}@1.0.0")])
    going = True

    async def client(connection: httpx.AsyncClient) -> None:
        while going:
            story.answers.append(await stream(connection, url(one), name))

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=300, limits=limits, verify=False) as connection:
        tasks = [asyncio.create_task(client(connection)) for _ in range(clients)]
        await asyncio.sleep(0.3)
        for version in CHANGES:
            if version == "back":
                done = await asyncio.to_thread(rollback, workspace, name, drain_seconds=0)
            else:
                done = await asyncio.to_thread(promote, workspace, f"{name}@{version}", drain_seconds=0)
            story.changes.append((time.monotonic(), done.version))
        await asyncio.sleep(0.5)
        going = False
        await asyncio.gather(*tasks)
    return story


def assert_nobody_noticed(story: Story, says: Mapping[str, str]) -> None:
    """No request failed, no answer is of two versions or by an older one than when it was asked for.

    says: version -> the one thing it answers.
    """
    name = story.changes[0][1].partition("@")[0]
    assert [version for _, version in story.changes] == [f"{name}@{version}" for version in MEANT]
    assert [answer.error for answer in story.answers if answer.error or not answer.done] == []
    assert {len(set(answer.models)) for answer in story.answers} == {1}
    assert [answer for answer in story.answers if answer.text.strip() != says[answer.models[0]]] == []
    assert {story.changes[0][1], story.changes[-1][1]} <= {answer.models[0] for answer in story.answers}
    for answer in story.answers:
        asked_for = max(number for number, (when, _) in enumerate(story.changes) if when <= answer.begun)
        # the next change may have been made already, and not been told yet
        assert answer.models[0] in {version for _, version in story.changes[asked_for:]}


def assert_all_counted(one: Served, story: Story) -> None:
    """Every request is in the figures, and none as a failure."""
    counts = status.of(one)
    assert counts.requests == len(story.answers)
    assert sum(row.errors + row.left + row.cut for row in counts.versions) == 0
