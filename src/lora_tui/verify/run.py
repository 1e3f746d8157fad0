"""A verification run: every prompt of a suite to both sides, journalled as it happens, a report at the end."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from pathlib import Path

from lora_tui.jobs import supervisor
from lora_tui.jobs.checks import check
from lora_tui.jobs.job import JobFile, Verify
from lora_tui.jobs.journal import (
    Answer,
    AnswerDelta,
    Failed,
    Finished,
    Journal,
    JournalReader,
    Progress,
    Started,
    Stopped,
)
from lora_tui.jobs.supervisor import Run
from lora_tui.verify import report
from lora_tui.verify.endpoints import Endpoint, answer, check_name, open_endpoint
from lora_tui.verify.suite import Case, load_suite, read_suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_PIECE_SECONDS = 0.2  # a delta is journalled at most this often


def create(workspace: Workspace, suite: str, baseline: str, tuned: str, max_tokens: int = 256) -> Run:
    """A new verification run, not started yet. Raises BadInput for an unknown suite or endpoint."""
    found = load_suite(workspace, suite)
    for name in (baseline, tuned):
        check_name(workspace, name)
    job = Verify(
        suite=str(found.path.absolute()),
        baseline=baseline,
        tuned=tuned,
        report=str(workspace.reports),
        max_tokens=max_tokens,
    )
    return supervisor.create(workspace, job, f"{found.name}: {tuned} against {baseline}")


def run(folder: Path, file: JobFile) -> None:
    """Do the job of a run folder; answers that its journal already holds are not asked for again."""
    assert isinstance(file.job, Verify)
    answers = _answered(folder / "journal.jsonl")
    journal = Journal(folder / "journal.jsonl")
    try:
        _run(folder, file, file.job, journal, answers)
    except LoraTuiError as error:
        journal.write(Failed(reason=error.what, where=error.where, fix=error.fix))
        raise
    except BaseException as error:
        journal.write(Failed(reason=f"this is a bug in lora-tui: {error!r}", where=str(folder / "stderr.log")))
        raise
    finally:
        journal.close()


def _run(folder: Path, file: JobFile, job: Verify, journal: Journal, answers: dict[tuple[int, str], Answer]) -> None:
    begun = time.time()
    suite = read_suite(Path(job.suite))
    total = 2 * len(suite.cases)
    resumed = len(answers) or None
    journal.write(Started(pid=os.getpid(), host=socket.gethostname(), total_steps=total, resumed_from=resumed))
    workspace = Workspace(Path(file.workspace))
    for side, name in zip(report.SIDES, (job.baseline, job.tuned), strict=True):
        open_cases = [(number, case) for number, case in enumerate(suite.cases) if (number, side) not in answers]
        if not open_cases:
            continue
        with closing(open_endpoint(workspace, name, folder / "stderr.log")) as endpoint:
            for number, case in open_cases:
                if (folder / "stop").exists():
                    journal.write(Stopped(step=len(answers)))
                    return
                given = _ask(journal, endpoint, number, side, case, job.max_tokens)
                journal.write(given)
                answers[number, side] = given
                journal.write(Progress(stage="answers", done=len(answers), total=total))
    made = report.make(file.id, suite, (job.baseline, job.tuned), answers)
    report.write(made, Path(job.report) / file.id)
    journal.write(Finished(steps=total, seconds=time.time() - begun, output=file.id))


def _ask(journal: Journal, endpoint: Endpoint, number: int, side: str, case: Case, max_tokens: int) -> Answer:
    text, shown, first, told = "", 0, 0.0, 0.0
    try:
        for text, seconds, ended in answer(endpoint, case.prompt, max_tokens):
            first = first or seconds
            if ended is None and seconds - told < _PIECE_SECONDS:
                continue
            if text[shown:] and ended is None:
                journal.write(AnswerDelta(prompt=number, side=side, text=text[shown:]))
                shown, told = len(text), seconds
            if ended is not None:
                checks = tuple(check(item.type, item.value, item.words, text) for item in case.expectations)
                return Answer(
                    prompt=number,
                    side=side,
                    text=text,
                    checks=checks,
                    tokens=ended.tokens,
                    first_token_seconds=first,
                    seconds=seconds,
                    stopped=ended.stopped,
                )
        raise LoraTuiError(f"{endpoint.name} ended its answer without saying so")
    except LoraTuiError as error:
        return Answer(prompt=number, side=side, text=text, error=error.what, stopped=False)


def _answered(path: Path) -> dict[tuple[int, str], Answer]:
    return {
        (event.prompt, event.side): event
        for event in JournalReader(path).read()
        if isinstance(event, Answer) and not event.error
    }
