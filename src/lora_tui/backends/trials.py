"""What came of the runs of a sweep, and which is the best."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.job import Sweep, Trial, load_job
from lora_tui.jobs.supervisor import Run, State
from lora_tui.jobs.view import RunView


class Outcome(msgspec.Struct, frozen=True):
    """One run of a sweep as its journal tells it."""

    number: int  # from 1
    run: str
    settings: tuple[str, ...]
    state: State
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    eval_loss: float | None = None  # of the weights that its adapter has
    pass_rate: float | None = None  # of the suite's prompts that met all expectations, by the same weights
    seconds: float = 0.0
    reason: str = ""
    curve: tuple[tuple[int, float], ...] = ()  # step, eval loss


def run_of(sweep: Run, trial: Trial) -> Run:
    """The run of a trial; it lies beside the sweep. Raises BadInput when it is gone."""
    folder: Path = sweep.folder.parent / trial.run
    return Run(folder=folder, file=load_job(folder / "job.toml"))


def outcomes(sweep: Run) -> list[Outcome]:
    """Every run of the sweep, in the order of its list; one whose folder was removed is left out."""
    job = sweep.file.job
    assert isinstance(job, Sweep)
    found = []
    for number, trial in enumerate(job.trials, start=1):
        if (sweep.folder.parent / trial.run / "job.toml").is_file():
            found.append(outcome(number, trial, RunView.of(run_of(sweep, trial))))
    return found


def outcome(number: int, trial: Trial, view: RunView) -> Outcome:
    """One run of a sweep."""
    word = view.last_word
    evaluations = view.evaluations
    rates = {step: met / asked for step, met, asked in view.pass_rates()}
    last = evaluations[-1].eval_loss if evaluations else None
    best_step = word.best_step if isinstance(word, journal.Finished) else 0
    kept = word.eval_loss if isinstance(word, journal.Finished) and word.eval_loss is not None else last
    return Outcome(
        number=number,
        run=trial.run,
        settings=trial.settings,
        state=view.state,
        step=view.step,
        total_steps=view.total_steps,
        loss=view.metrics[-1].loss if view.metrics else None,
        eval_loss=kept,
        pass_rate=rates.get(best_step or -1, next(reversed(rates.values()), None)),
        seconds=max(0.0, view.last_time - view.first_time),
        reason=view.failure,
        curve=tuple((event.step, event.eval_loss) for event in evaluations),
    )


def best(by: str, found: list[Outcome]) -> Outcome | None:
    """The finished run with the lowest eval loss, or the highest pass rate and among those the lowest eval loss."""
    finished = [item for item in found if item.state == "finished"]
    if by == "pass_rate":
        rated = [item for item in finished if item.pass_rate is not None]
        return min(rated, key=lambda item: (-(item.pass_rate or 0.0), _or_worst(item.eval_loss)), default=None)
    measured = [item for item in finished if item.eval_loss is not None]
    return min(measured, key=lambda item: _or_worst(item.eval_loss), default=None)


def _or_worst(loss: float | None) -> float:
    return math.inf if loss is None else loss
