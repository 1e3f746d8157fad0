"""The job at Together: found again, gone on with, or created, and never created twice.

A run's job carries the run's id as its suffix. Between its creation and the line in the journal a process can be
killed, and a create can be done though its answer was lost: so it is looked for by its suffix before each create.
"""

from __future__ import annotations

from typing import Any

from lora_tui.backends.together import pricing, settings
from lora_tui.backends.together.client import ServiceError, asking, plain
from lora_tui.backends.together.recalled import JOB, TRAINING_FILE, VALIDATION_FILE
from lora_tui.backends.together.status import ENDED_EARLY, Status
from lora_tui.backends.together.stay import Stay
from lora_tui.backends.together.told import Place, started
from lora_tui.backends.together.watching import Watch
from lora_tui.jobs import journal
from lora_tui.workspace.errors import LoraTuiError

_SUFFIX = 40  # characters that Together takes
_TOO_OFTEN = 429
_TRIES = 4


def submitted(stay: Stay) -> str:
    """The id of the job that counts. Raises BadInput where it would be too dear, LoraTuiError where none can go on."""
    known = stay.known
    if not known.jobs:
        found = _find(stay, _suffix(stay))
        if not found:
            return _created(stay, {"model": stay.asked.model})
        stay.remote(JOB, found)
    if known.before is None:  # killed before it was said where that job takes over
        _begin_at(stay, _newest_checkpoint(stay, known.jobs[-2], known.earlier))
    job = Watch(stay, known.job).look()
    return _continued(stay, job) if job.status in ENDED_EARLY else job.id


def _continued(stay: Stay, ended: Status) -> str:
    """The job that goes on from the newest checkpoint of one that ended early: there already, or a new one."""
    before = stay.known.before or 0
    step = _newest_checkpoint(stay, ended.id, before)
    if not step:
        raise LoraTuiError(
            f"the job {ended.id} is {ended.status} and has no checkpoint: there is nothing to go on from",
            where=stay.run.id,
            fix=f"Start a new run: lora-tui train {stay.job.profile.name} --dataset {stay.job.dataset_name} "
            "--backend together",
        )
    made = _find(stay, _suffix(stay))
    if made:
        stay.remote(JOB, made)
    else:
        epochs, checkpoint = _epochs_left(stay, step), f"{ended.id}:{step - before}"
        message = f"goes on from the checkpoint {checkpoint} with {epochs} epochs; its schedule begins anew"
        stay.log.write(journal.Note(message=message))
        made = _created(stay, {"from_checkpoint": checkpoint}, epochs=epochs)
    _begin_at(stay, step)
    return made


def _begin_at(stay: Stay, step: int) -> None:
    """Say that the run goes on from `step` in its last job, whose own steps begin at 1."""
    known = stay.known
    stay.log.write(started(Place(job=known.job, model=stay.asked.model, before=step), 0))
    known.before, known.step, known.evaluated = step, min(known.step, step), min(known.evaluated, step)


def _newest_checkpoint(stay: Stay, job: str, before: int) -> int:
    """The run's step at a job's newest checkpoint; 0 where it has none. before: steps done before the job."""
    with asking(f"the checkpoints of {job}"):
        listed = plain(stay.client.fine_tuning.list_checkpoints(job)).get("data") or []
        step = max((int(item.get("step") or 0) for item in listed), default=0)
    return before + step if step else 0


def _epochs_left(stay: Stay, step: int) -> int:
    epochs = int(stay.job.profile.training.num_train_epochs)
    return max(1, round(epochs * (1 - step / stay.known.total))) if stay.known.total else epochs


def _created(stay: Stay, start: dict[str, Any], *, epochs: int = 0) -> str:
    """A new job; the journal has it at once. It begins with `start`: a model, or a checkpoint."""
    limits, raw = pricing.limits_here(stay)
    asked = settings.arguments(stay.job.profile, limits)
    if epochs:
        asked["n_epochs"] = epochs
    pricing.refuse_too_dear(stay, pricing.priced(stay, asked, start.get("from_checkpoint", "")))
    if stay.asked.from_hf_model and "model" in start:
        start["from_hf_model"] = stay.asked.from_hf_model
    validation = stay.known.files.get(VALIDATION_FILE, "")
    asked |= {
        "training_file": stay.known.files[TRAINING_FILE],
        "validation_file": validation,
        "n_evals": stay.asked.n_evals if validation else 0,
        "n_checkpoints": stay.asked.n_checkpoints,
        "suffix": _suffix(stay),
        "model_limits": raw,
        **start,
    }
    stay.progress("creating the job at Together", 0, 0)
    stay.refuse_to_stay()
    try:
        identity = _create(stay, asked)
    except ServiceError as error:
        identity = _find(stay, asked["suffix"]) if error.unsure else ""
        if not identity:
            raise
        stay.log.write(journal.Note(message=f"the answer to the create was lost; the job {identity} is there"))
    stay.remote(JOB, identity)
    return identity


def _create(stay: Stay, asked: dict[str, Any]) -> str:
    """The SDK does not try it again: a lost answer does not mean that there is no job. One too early is no job."""
    client = stay.client.with_options(max_retries=0)
    attempt = 0
    while True:
        try:
            with asking("creating the job"):
                return str(plain(client.fine_tuning.create(**asked))["id"])
        except ServiceError as error:
            attempt += 1
            if error.status != _TOO_OFTEN or attempt == _TRIES:
                raise
            stay.wait(error.after or 2.0**attempt)


def _suffix(stay: Stay) -> str:
    """Of the job that is to be created next."""
    number = len(stay.known.jobs) + 1
    return stay.asked.suffix if number == 1 else f"{stay.asked.suffix[: _SUFFIX - 3]}-{number}"


def _find(stay: Stay, suffix: str) -> str:
    """The id of the job with this suffix; empty: there is none."""
    with asking("which jobs there are"):
        listed = plain(stay.client.fine_tuning.list()).get("data") or []
        return next((str(item["id"]) for item in listed if _is_ours(stay, item, suffix)), "")


def _is_ours(stay: Stay, item: dict[str, Any], suffix: str) -> bool:
    """The suffix may be left out of a list; the name of what comes of the job has it too."""
    if told := item.get("suffix"):
        return bool(told == suffix)
    return suffix in str(item.get("model_output_name") or "") and item["id"] not in stay.known.jobs
