"""What a live Monitor sends to the terminal, counted under a real pty."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_harness import Terminal, app

import run_stories
from lora_tui.workspace.layout import Workspace

_SECONDS = 8.0
_BUDGET = 2_000  # bytes a second

# A run that makes five steps a second, and tells of the machine every second.
_TRAINER = """
import sys, time, math
from pathlib import Path
from lora_tui.jobs import journal
log = journal.Journal(Path(sys.argv[1]))
for step in range(60, 4000):
    loss = 2.6 / (1 + step / 90) + 0.1 * math.sin(step * 1.7)
    log.write(journal.Metrics(step=step, epoch=step / 100, loss=loss, learning_rate=3e-3 * (1 - step / 4000),
        grad_norm=1 + 0.3 * math.sin(step), tokens=step * 800, tokens_per_second=2400 + step % 97, step_seconds=0.2))
    if step % 5 == 0:
        gpu = journal.Gpu(
            name="NVIDIA H200",
            memory_used=(70 + step % 9) << 30,
            memory_total=140 << 30,
            utilization=90.0 + step % 10,
            temperature=60.0 + step % 7,
            power=600.0 + step % 40,
        )
        log.write(
            journal.Hardware(
                cpu=60 + step % 35,
                ram_used=(9 + step % 5) << 30,
                ram_total=64 << 30,
                gpus=(gpu,),
                cores=tuple(float((step * core) % 101) for core in range(16)),
                disk_free=(212 << 30) - (step << 20),
            )
        )
    if step % 50 == 0:
        log.write(journal.Evaluation(step=step, epoch=step / 100, eval_loss=loss + 0.2))
        log.write(journal.Checkpoint(step=step, path=f"checkpoints/checkpoint-{step}"))
    time.sleep(0.2)
"""


@pytest.fixture
def live(workspace: Workspace) -> Iterator[Path]:
    """A workspace in which a run is training."""
    started = run_stories.STARTED
    run = run_stories.write_run(
        workspace,
        "20260921-121010-train-live",
        run_stories.train_job(workspace),
        "tiny on rust@1",
        [type(started)(pid=1, host="box", total_steps=4000, device="cuda"), *run_stories.training(59)],
    )
    child: subprocess.Popen[bytes] = run_stories.living(run, _TRAINER, str(run.journal))
    yield workspace.root
    child.kill()
    child.wait()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (160, 50)])
def test_a_live_monitor_stays_within_two_kilobytes_a_second(live: Path, columns: int, rows: int) -> None:
    with Terminal(app(live, "app", "monitor"), columns=columns, rows=rows) as terminal:
        terminal.until("running")
        terminal.drain(quiet=9.0, limit=3.0)
        sent = terminal.drain(quiet=99.0, limit=_SECONDS)
        assert "tiny on rust@1" in terminal.screen()
        print(f"{columns}×{rows}: {sent / _SECONDS:.0f} bytes a second")
        assert 0 < sent / _SECONDS <= _BUDGET, f"{sent / _SECONDS:.0f} bytes a second\n{terminal.screen()}"


def test_another_screen_is_sent_nothing_while_a_run_trains(live: Path) -> None:
    with Terminal(app(live, "app", "monitor")) as terminal:
        terminal.until("running")
        terminal.press("\x1b[13~")  # F3, Dataset
        terminal.until("wanted")
        terminal.drain(quiet=1.0, limit=10.0)
        assert terminal.drain(quiet=99.0, limit=4.0) == 0, terminal.screen()


def test_a_run_that_is_over_costs_nothing_to_look_at(workspace: Workspace) -> None:
    run_stories.write_failed(workspace)
    with Terminal(app(workspace.root, "app", "monitor")) as terminal:
        terminal.until("CUDA out of memory")
        terminal.drain(quiet=2.5, limit=15.0)
        assert terminal.drain(quiet=99.0, limit=6.0) == 0, terminal.screen()
