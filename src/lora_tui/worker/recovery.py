"""Going on after a step that did not fit into memory."""

from __future__ import annotations

from datasets import Dataset

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.worker import oom
from lora_tui.worker.lasting import LastingTrainer
from lora_tui.worker.oom import Batch
from lora_tui.worker.resuming import OUT_OF_MEMORY
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.profiles import Profile

_GIB = 1 << 30


class DidNotFit(Exception):
    """Out of memory while training; what is known of it."""

    def __init__(self, step: int, reached: int, broke: oom.Broke) -> None:
        super().__init__(step)
        self.step = step  # the one that was being made
        self.reached = reached  # bytes
        self.broke = broke


def run(trainer: LastingTrainer, resume_from: str | None, rows: Dataset) -> DidNotFit | None:
    """Train; None when it ended. Where a step did not fit, everything it had in memory is given back.

    What was reached until then is not lost: unless the weights were just being changed, the last completed step is
    made a checkpoint.
    """
    try:
        trainer.train(resume_from_checkpoint=resume_from)
        return None
    except Exception as error:
        if not oom.is_out_of_memory(error):
            raise
        broke = oom.what_broke(trainer.making, rows)
        problem = DidNotFit(trainer.state.global_step + 1, oom.reached(), broke)
    trainer.making = None
    trainer.model.zero_grad(set_to_none=True)
    oom.free()
    alone = trainer.args.world_size == 1  # else the others wait in the middle of a step, and all must begin again
    if alone and trainer.state.global_step and not trainer.halfway:
        trainer.save_now()
    return problem


def smaller(problem: DidNotFit, batch: Batch, job: Train, retry: int) -> tuple[Batch, journal.OutOfMemory]:
    """The batch to go on with, and the word for the journal. Raises LoraTuiError where there is none to try."""
    allowed = job.profile.training.oom_retries
    less = batch.smaller()
    if less is None or retry > allowed:
        tried = f"after {allowed} smaller batch{'es' * (allowed > 1)}" if less is not None and allowed else ""
        raise _does_not_fit(problem, batch.rows, job, tried, _what_helps(job.profile, problem, less))
    return less, journal.OutOfMemory(
        step=problem.step,
        per_device_train_batch_size=less.rows,
        gradient_accumulation_steps=less.accumulation,
        planned=job.planned_bytes,
        reached=problem.reached,
        longest=problem.broke.longest,
        rows=problem.broke.rows,
        retry=retry,
    )


def _does_not_fit(problem: DidNotFit, rows: int, job: Train, more: str, fix: str) -> LoraTuiError:
    what = " ".join(part for part in (f"step {problem.step} does not fit with {_rows(rows)} at a time", more) if part)
    return LoraTuiError(f"{what}: {explained(problem, job)}", where=OUT_OF_MEMORY, fix=fix)


def explained(problem: DidNotFit, job: Train) -> str:
    """What the plan said, what was reached, and what broke it."""
    parts = [f"{problem.reached / _GIB:.1f} GiB reached"]
    if job.planned_bytes:
        parts.append(f"{job.planned_bytes / _GIB:.1f} GiB planned")
    if problem.broke.longest:
        name = f" ({problem.broke.rows[0]})" if problem.broke.rows else ""
        parts.append(f"the longest row has {problem.broke.longest} tokens{name}")
    return ", ".join(parts)


def _what_helps(profile: Profile, problem: DidNotFit, less: Batch | None) -> str:
    ways: list[str] = []
    if less is not None:
        ways.append(
            f"training.per_device_train_batch_size = {less.rows} with gradient_accumulation_steps = {less.accumulation}"
        )
    if not profile.training.gradient_checkpointing:
        ways.append("training.gradient_checkpointing = true")
    if not profile.model.load_in_4bit:
        ways.append("model.load_in_4bit = true")
    if problem.broke.longest > 1:
        ways.append(f"training.max_length below {problem.broke.longest}")
    ways.append("a smaller lora.r")
    return f"What would help: {'; '.join(ways)}. See `lora-tui plan`."


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows"
