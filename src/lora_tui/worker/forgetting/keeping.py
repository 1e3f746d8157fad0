"""What [forgetting] of a profile asks of a run, made ready before it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.worker import ranks, sharding
from lora_tui.worker.forgetting import fisher, replay, texts
from lora_tui.worker.forgetting.before import base_alone, weights_before
from lora_tui.worker.forgetting.ewc import EWC, carried, estimated
from lora_tui.worker.forgetting.fisher import FisherMeter
from lora_tui.worker.forgetting.general import Forgetting
from lora_tui.worker.forgetting.kl import KL
from lora_tui.worker.forgetting.l2 import L2
from lora_tui.worker.forgetting.penalty import Penalty
from lora_tui.worker.lasting import Kept
from lora_tui.worker.requests import Ended, Requests
from lora_tui.worker.tensors import load_tensors, save_tensors
from lora_tui.worker.tokenize import Tokens
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Profile
from lora_tui.workspace.profiles.sanity import mutates_base

TEXTS = 32  # replay questions that KL and Fisher information are taken on, where replay itself asks for fewer
MEASURED = 200  # general conversations, of a file that has more
_START = "start.safetensors"
_EARLIER = "fisher-before.safetensors"


@dataclass
class Keeping:
    """What the trainer takes over: rows to mix in, terms to minimise, callbacks, and what is kept with the adapter."""

    mixed: list[Tokens] = field(default_factory=list)
    penalties: list[Penalty] = field(default_factory=list)
    callbacks: list[TrainerCallback] = field(default_factory=list)
    meter: FisherMeter | None = None
    earlier: dict[str, torch.Tensor] = field(default_factory=dict)  # F of what was before
    gamma: float = 0.0
    fits_adapter: bool = True  # the saved adapter has the factors that were measured, not others of twice the rank

    def begin(self) -> tuple[list[Penalty], FisherMeter | None, list[Kept]]:
        """What a trainer needs that begins, or takes its steps again from a checkpoint."""
        if self.meter is None:
            return self.penalties, None, []
        self.meter.reset()
        return self.penalties, self.meter, [self.meter]

    def watch(self, model: Any) -> None:
        """The model was made anew."""
        if self.meter is not None:
            self.meter.attach(model)

    def measure_end(self, model: Any, step: int, best: int) -> None:
        """The run is through, and its weights are those that are kept."""
        for callback in self.callbacks:
            if isinstance(callback, Forgetting):
                callback.at_end(model, step, best)

    def beside(self) -> Callable[[Path], None]:
        """What puts into the adapter's folder what the next run is to be held to. Call it in every process."""
        if self.meter is None or not self.fits_adapter:
            return lambda folder: None
        whole = carried(self.earlier, fisher.averaged(self.meter.value()), self.gamma)
        return lambda folder: save_tensors(_as_saved(whole), folder / fisher.NAME)


class OneFisher(TrainerCallback):
    """Every process has seen other rows: before a checkpoint their means become one."""

    def __init__(self, meter: FisherMeter) -> None:
        self.meter = meter

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Behind whoever may ask for a checkpoint."""
        if control.should_save:
            fisher.averaged(self.meter.mean)

    on_epoch_end = on_step_end


def keeping(
    job: Train,
    profile: Profile,
    folder: Path,
    model: Any,
    tokenizer: Any,
    lengths: Sequence[int],
    log: journal.Journal,
    asked: Requests,
) -> Keeping:
    """Make everything ready; `model` (PEFT's) is as it will begin, `lengths` are the training rows' in tokens.

    `profile` is this process's part of the job's.
    Raises BadInput for a chat file that cannot be used, and Ended when a stop is asked for meanwhile.
    """
    wish = profile.forgetting
    found = Keeping(gamma=wish.ewc_gamma)
    _check_processes(profile)
    held = bool(wish.l2 or wish.ewc)
    with ranks.first_goes_first():
        start = weights_before(model, folder / texts.FOLDER / _START) if held or _changes_base(job) else base_alone()
        known = _kept(job, model) if wish.ewc or wish.keep_fisher else {}
        said = _texts(job, folder, model, tokenizer, len(lengths), log, asked, unknown=bool(wish.ewc) and not known)
    if any(ranks.any_of(asked.stop)):
        raise Ended
    before = start if _changes_base(job) else base_alone()
    if wish.replay:
        found.mixed = said[: replay.wanted(len(lengths), wish.replay_share)]
        chats = _replay_file(job)
        log.write(
            replay.note(len(found.mixed), len(lengths), wish.replay_share, own=wish.replay == "self", chats=chats)
        )
    size = job.profile.training.per_device_train_batch_size  # the same in however many processes
    if wish.kl:
        fitting = _no_longer(said, max(lengths, default=0), size)
        found.penalties.append(KL(wish.kl, fitting, before, tokenizer.pad_token_id, size, profile.training.seed))
    if wish.l2:
        found.penalties.append(L2(wish.l2, start))
    if wish.ewc:
        with ranks.first_goes_first():
            found.earlier = known or _estimated(job, folder, model, said, tokenizer.pad_token_id, log)
        found.penalties.append(EWC(wish.ewc, found.earlier, start))
    if wish.ewc or wish.keep_fisher:
        found.earlier = found.earlier or known
        found.meter = FisherMeter(wish.ewc_gamma)
        found.fits_adapter = bool(job.start_from) or not mutates_base(job.profile.lora)
        found.meter.attach(model)
        found.callbacks.append(OneFisher(found.meter))
    if wish.measure and ranks.here().first and not sharding.is_prepared():
        chats = Path(job.general) if job.general else texts.shipped_general()
        path = folder / texts.FOLDER / texts.GENERAL
        kept = texts.kept(path, _at(folder, chats), profile.training.seed, MEASURED)
        general = replay.tokens_of(kept, tokenizer, profile.training.max_length)
        if general:
            found.callbacks.append(Forgetting(log, general, tokenizer.pad_token_id, before))
    return found


def _changes_base(job: Train) -> bool:
    """Whether the model that begins is another than the base with its adapter switched off."""
    return bool(job.start_from) or job.profile.lora.init_lora_weights not in (True, "gaussian")


def _check_processes(profile: Profile) -> None:
    wish = profile.forgetting
    if sharding.is_prepared() and (wish.ewc or wish.l2 or wish.kl or wish.keep_fisher):
        raise BadInput(
            "EWC, L2 and KL need the whole adapter in every process, which FSDP2 does not have",
            where=f"profile {profile.name}",
            fix='Use training.parallel = "ddp", or stored replay instead.',
        )


def _at(folder: Path, path: Path) -> Path:
    return path if path.is_absolute() else folder / path


def _replay_file(job: Train) -> Path:
    return Path(job.replay) if job.replay else texts.shipped_replay()


def _texts(
    job: Train,
    folder: Path,
    model: Any,
    tokenizer: Any,
    rows: int,
    log: journal.Journal,
    asked: Requests,
    *,
    unknown: bool,
) -> list[Tokens]:
    """What replay, KL and a first Fisher information need to read, in the order in which it is drawn.

    unknown: the Fisher information of what was before is wanted, and nobody keeps it.
    """
    wish, training = job.profile.forgetting, job.profile.training
    mixed = replay.wanted(rows, wish.replay_share) if wish.replay else 0
    number = max(mixed, TEXTS if wish.kl or unknown else 0)
    if not number:
        return []
    chats = _at(folder, _replay_file(job))
    if wish.replay == "self":
        found = replay.answered(folder, chats, training.seed, number, model, tokenizer, log, asked)
    else:
        found = replay.stored(folder, chats, training.seed, number)
    said = replay.tokens_of(sorted(found, key=lambda row: row.id), tokenizer, training.max_length)
    if not said and (wish.kl or unknown):
        raise BadInput(
            "no text is left to hold the model to: it ended none of its answers to the replay questions by itself"
            if wish.replay == "self"
            else f"no conversation of the replay file fits into max_length {training.max_length}",
            where=str(chats),
            fix='Use forgetting.replay = "stored", or another forgetting.replay_file.',
        )
    return said


def _no_longer(said: Sequence[Tokens], longest: int, size: int) -> list[Tokens]:
    """The texts that need no more memory than a training row; the `size` shortest where those are too few."""
    by_length = sorted(said, key=lambda text: (len(text.input_ids), text.id, text.part))
    fitting = [text for text in by_length if len(text.input_ids) <= longest]
    return fitting if len(fitting) >= size else by_length[:size]


def _estimated(
    job: Train, folder: Path, model: Any, said: Sequence[Tokens], pad: int, log: journal.Journal
) -> dict[str, torch.Tensor]:
    """F of what was before, where the adapter keeps none that fits it: of the model on general texts."""
    path = folder / texts.FOLDER / _EARLIER
    if path.is_file():
        return _as_named(load_tensors(path), model)
    if job.start_from:
        log.write(
            journal.Warned(
                message=f"{job.start_name or 'the adapter'} keeps no Fisher information of what it learned: "
                "EWC protects general abilities alone",
                advice="Train the earlier adapter with forgetting.keep_fisher = true, or replay its rows.",
                code="ewc",
            )
        )
    found = estimated(model, said, pad)
    save_tensors(_as_saved(found), path)
    return found


def _kept(job: Train, model: Any) -> dict[str, torch.Tensor]:
    """F that the adapter keeps; empty where it keeps none, or none of the factors it has."""
    path = Path(job.start_from) / fisher.NAME
    return _as_named(load_tensors(path), model) if job.start_from and path.is_file() else {}


_OURS, _SAVED = ".default.weight", ".weight"  # a factor's name in the model, and in PEFT's files


def _as_saved(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removesuffix(_OURS) + _SAVED: item for name, item in values.items()}


def _as_named(values: dict[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """By parameter name, on the parameters' device; what the model has no such factor for is left out."""
    parameters = dict(model.named_parameters())
    named = {name.removesuffix(_SAVED) + _OURS: item for name, item in values.items()}
    return {
        name: item.to(parameters[name].device)
        for name, item in named.items()
        if name in parameters and parameters[name].shape == item.shape
    }
