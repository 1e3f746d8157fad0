"""What a job will cost, as Together reckons it from the validated files, before anything is created."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.together import settings, training_files
from lora_tui.backends.together.client import PEER, asking, connected, plain
from lora_tui.backends.together.limits import Limits, limits_of
from lora_tui.backends.together.prepare import NOT_AGREED, with_price
from lora_tui.backends.together.recalled import TRAINING_FILE, VALIDATION_FILE
from lora_tui.backends.together.stay import Stay
from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    from together import Together

WHAT = "fine-tuning"  # of the journal's Charged


class Estimate(msgspec.Struct, frozen=True):
    """POST /v1/fine-tunes/estimate-price: USD and tokens. `allowed`: the account may spend that."""

    price: float
    train_tokens: int = 0
    eval_tokens: int = 0
    allowed: bool = True
    limit: float | None = None  # what the account may spend


def estimate(run: Run, tell: Tell = unheard) -> Estimate:
    """Upload and validate the files of a run that is not started, and price it; the journal keeps what lies there.

    Costs nothing. Raises what the steps raise; called again it goes on where it was.
    """
    client = connected()
    log = journal.Journal(run.journal)
    try:
        stay = Stay(client, run, log, tell)
        training_files.validated(stay)
        limits, _ = limits_here(stay)
        return priced(stay, settings.arguments(stay.job.profile, limits))
    finally:
        log.close()


_LEAST = 0.01  # USD that is agreed to: 0 would mean any price


def confirmed(run: Run, most: float) -> Run:
    """The run with the most it may cost, written into its job.toml: what was shown when a person answered."""
    job = run.file.job
    assert isinstance(job, Train)
    file = msgspec.structs.replace(run.file, job=with_price(job, max(_LEAST, math.ceil(most * 100) / 100)))
    atomic.write_text(run.folder / "job.toml", toml.dump(file))
    return Run(folder=run.folder, file=file)


def limits_here(stay: Stay) -> tuple[Limits, Any]:
    """The limits of the run's base now, ours and the SDK's. Raises BadInput where Together has it no longer."""
    found = limits_of(stay.client, stay.asked.model)
    if found is None:
        fix = "See `lora-tui together models` for the bases it has, and start a new run."
        raise BadInput(f"Together does not fine-tune {stay.asked.model} any more", fix=fix)
    settings.refuse(stay.job.profile, found[0])
    return found


def priced(stay: Stay, arguments: dict[str, Any], from_checkpoint: str = "") -> Estimate:
    """The price of a job with these settings, told to the journal. Raises LoraTuiError where there is none."""
    start = {"from_checkpoint": from_checkpoint} if from_checkpoint else {"model": stay.asked.model}
    fix = f"Try again later: lora-tui runs resume {stay.run.id}"
    found = asked_price(stay.client, stay.known.files, arguments, stay.asked.n_evals, start, fix)
    if stay.known.estimated != found.price:
        stay.log.write(journal.Charged(peer=PEER, what=WHAT, amount=found.price, estimated=True))
        stay.known.estimated = found.price
    return found


def asked_price(
    client: Together,
    files: Mapping[str, str],
    arguments: Mapping[str, Any],
    n_evals: int,
    start: Mapping[str, str],
    fix: str = "",
) -> Estimate:
    """The price of a job on validated files, by their kind. Raises LoraTuiError where there is none.

    start: the "model" it begins with, or the checkpoint: "from_checkpoint".
    """
    more: dict[str, Any] = dict(start)
    if VALIDATION_FILE in files:
        more["validation_file"] = files[VALIDATION_FILE]
    with asking("estimating the price"):
        answer = plain(
            client.fine_tuning.estimate_price(
                training_file=files[TRAINING_FILE],
                n_epochs=arguments["n_epochs"],
                n_evals=n_evals,
                training_type={
                    "type": "Lora",
                    "lora_r": arguments["lora_r"],
                    "lora_alpha": arguments["lora_alpha"],
                    "lora_dropout": arguments["lora_dropout"],
                    "lora_trainable_modules": arguments["lora_trainable_modules"],
                },
                training_method={"method": "sft", "train_on_inputs": "auto"},
                **more,
            )
        )
        if answer.get("estimation_available") is False:
            reason = str(answer.get("unavailable_reason") or "it gives no reason").replace("_", " ")
            raise LoraTuiError(f"Together gives no price: {reason}", fix=fix)
        return Estimate(
            price=float(answer["estimated_total_price"]),
            train_tokens=int(answer.get("estimated_train_token_count") or 0),
            eval_tokens=int(answer.get("estimated_eval_token_count") or 0),
            allowed=bool(answer.get("allowed_to_proceed", True)),
            limit=answer.get("user_limit"),
        )


def refuse_too_dear(stay: Stay, found: Estimate) -> None:
    """Raises BadInput where the job would cost more than was agreed, or than the account may spend."""
    most = stay.asked.max_price
    if most == NOT_AGREED:
        raise BadInput(
            f"nobody has agreed yet to what it would cost, ${found.price:.2f}: nothing was created",
            where=stay.run.id,
            fix=f"lora-tui train {stay.job.profile.name} --dataset {stay.job.dataset_name} --backend together",
        )
    if most and found.price > most:
        raise BadInput(
            f"it would cost ${found.price:.2f}, and ${most:.2f} was agreed: nothing was created",
            where=stay.run.id,
            fix="Start a new run with a higher --max-price, fewer epochs or fewer rows.",
        )
    if not found.allowed:
        limit = f" (the account may spend ${found.limit:.2f})" if found.limit is not None else ""
        raise BadInput(
            f"Together does not let the account spend ${found.price:.2f}{limit}: nothing was created",
            where=stay.run.id,
            fix=f"Add credit at api.together.ai under Billing, then: lora-tui runs resume {stay.run.id}",
        )
