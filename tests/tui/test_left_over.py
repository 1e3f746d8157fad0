"""The app tells at its start what was left rented."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from on_screen import shown, text_of

import run_stories
from fakes.cloud import KEY
from fakes.runpod import runpod
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Box
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace.layout import Workspace

RUN = "20261130-101010-train-abcd"


async def test_a_machine_that_a_killed_run_left_is_told_with_what_to_type(
    open_app: Callable[..., LoraTuiApp], little: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = msgspec.structs.replace(run_stories.train_job(little), elsewhere=Box(provider="runpod"))
    run = supervisor.create(little, job, "tiny on rust@1", identity=RUN)
    log = journal.Journal(run.journal)
    with runpod() as cloud:
        monkeypatch.setenv("RUNPOD_BASE_URL", cloud.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        box = cloud.add(f"lora-tui/{RUN}", 0.34, {"ports": []}, what="NVIDIA GeForce RTX 4090")
        log.write(journal.Hired(provider="runpod", id=box.id, price_per_hour=0.34))
        app = open_app()
        async with app.run_test(size=(80, 24), notifications=True):
            assert "$0.34/h" in await shown(app, "rented sweep")
            assert KEY not in text_of(app)
    log.close()
