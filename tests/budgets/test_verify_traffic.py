"""What a live comparison sends to the terminal, counted under a real pty."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pty_harness import Terminal, app

import comparison_stories
import run_stories
from lora_tui.workspace.layout import Workspace

_SECONDS = 8.0
_BUDGET = 2_000  # bytes a second

# Sixteen answers at once, each written word by word, in a comparison of three samples of six prompts that never ends.
_ASKER = """
import sys, time, itertools
from lora_tui.jobs import journal
log = journal.Journal(__import__("pathlib").Path(sys.argv[1]))
log.write(journal.Started(pid=1, host="box", total_steps=36))
places = [(prompt, side, sample) for prompt in range(6) for side in ("baseline", "tuned") for sample in range(3)]
for turn in itertools.count():
    for prompt, side, sample in places[:16]:
        log.write(journal.AnswerDelta(prompt=prompt, side=side, sample=sample, text=f"word{turn} "))
    if turn % 4 == 3:
        prompt, side, sample = places[16 + turn // 4 % 20]
        log.write(journal.Answer(prompt=prompt, side=side, sample=sample, text="done", tokens=turn))
    time.sleep(0.2)
"""


@pytest.fixture
def live(workspace: Workspace) -> Iterator[Path]:
    """A workspace in which a comparison is asked."""
    suite = comparison_stories.write_suite(workspace)
    job = comparison_stories.verify_job(workspace, suite)
    run = run_stories.write_run(workspace, "20260921-121010-verify-live", job, "mixed: tuned against base")
    child: subprocess.Popen[bytes] = run_stories.living(run, _ASKER, str(run.journal))
    yield workspace.root
    child.kill()
    child.wait()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (160, 50)])
def test_a_live_comparison_stays_within_two_kilobytes_a_second(live: Path, columns: int, rows: int) -> None:
    with Terminal(app(live, "app", "verify"), columns=columns, rows=rows) as terminal:
        terminal.until("running")
        terminal.drain(quiet=9.0, limit=3.0)
        sent = terminal.drain(quiet=99.0, limit=_SECONDS)
        assert "word" in terminal.screen()
        print(f"{columns}×{rows}: {sent / _SECONDS:.0f} bytes a second")
        assert 0 < sent / _SECONDS <= _BUDGET, f"{sent / _SECONDS:.0f} bytes a second\n{terminal.screen()}"


def test_another_screen_is_sent_nothing_while_a_comparison_is_asked(live: Path) -> None:
    with Terminal(app(live, "app", "verify")) as terminal:
        terminal.until("running")
        terminal.press("\x1b[13~")  # F3, Dataset
        terminal.until("wanted")
        terminal.drain(quiet=1.0, limit=10.0)
        assert terminal.drain(quiet=99.0, limit=4.0) == 0, terminal.screen()
