"""A trainer of which nothing is lost: whole checkpoints, no weights that are not numbers, evaluations that fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from lora_tui.worker import checkpoints, disk, loading, oom, randomness, ranks
from lora_tui.worker.callbacks.owed import Owed
from lora_tui.worker.callbacks.telling import Telling
from lora_tui.worker.mask import IGNORED


class Kept(Protocol):
    """Something that goes into every checkpoint and is read again by a run that goes on from it."""

    def save(self, folder: Path) -> None:
        """Write its files into the checkpoint folder that is being made."""

    def load(self, folder: Path) -> None:
        """Read them from the checkpoint folder that the run goes on from."""


class EvaluationGivenUp(Exception):
    """Someone asked to stop while the validation rows were being gone through."""


class LastingTrainer(SFTTrainer):
    """SFTTrainer whose checkpoints are whole and hashed and whose weights stay numbers.

    What it knows of the step that is being made is what recovery needs: `making` is the micro-batch in work; `halfway`
    says that the weights are being changed; `take_back` makes everything what the last completed step left.
    """

    telling: Telling
    settings: Mapping[str, str] = {}  # the fingerprint, for the manifests
    kept: Sequence[Kept] = ()
    on_spoiled: Callable[[int], None] | None = None  # told the step whose gradients were no numbers

    making: dict[str, Any] | None = None
    halfway = False
    in_step = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.args.eval_strategy != "no":  # Trainer then remembers which evaluation was the best
            self.args.metric_for_best_model, self.args.greater_is_better = "eval_loss", False
        self._before = randomness.take()
        self._tokens_before = 0
        self._tokens_a_row = 0.0
        self.add_callback(_Steps(self))
        self.add_callback(Owed(self._evaluate_now))

    def training_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        """One micro-batch, remembered while it is in work."""
        self.making = inputs
        return super().training_step(model, inputs, *arguments, **options)

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip; gradients that are no numbers are thrown away, so that the step changes nothing.

        The scaler of fp16 does so itself, and its first steps are of that kind.
        """
        norm = super()._clip_grad_norm(model)
        if self.accelerator.scaler is None and not bool(torch.isfinite(torch.as_tensor(norm))):
            model.zero_grad(set_to_none=True)
            if self.on_spoiled is not None:
                self.on_spoiled(self.state.global_step + 1)
        self.halfway = True
        return norm

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, *arguments: Any, **options: Any) -> None:
        """Trainer empties its sum of losses by taking it from itself, which leaves NaN where it was NaN."""
        super()._maybe_log_save_evaluate(tr_loss, *arguments, **options)
        if self._globalstep_last_logged == self.state.global_step and not bool(torch.isfinite(tr_loss)):
            tr_loss.zero_()

    def take_back(self) -> None:
        """Forget the step that was begun: its gradients, the random numbers it drew, the tokens it counted."""
        if self.in_step:
            self.in_step = False
            self.model.zero_grad(set_to_none=True)
            randomness.give_back(self._before)
            self.telling.tokens = self._tokens_before

    def step_begins(self) -> None:
        """Remember what `take_back` needs."""
        self._before = randomness.take()
        self._tokens_before = self.telling.tokens
        self.in_step = True

    def step_ended(self) -> None:
        """The weights are those of a completed step."""
        self.in_step = self.halfway = False

    # Checkpoints

    def weights_are_numbers(self) -> bool:
        """Whether every weight that is trained is finite."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.model.parameters() if weight.requires_grad)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Trainer's own files and those of `kept`, written aside and sealed. Weights that are no numbers make none.

        Raises LoraTuiError where there is no room for it; the checkpoints that were there stay.
        """
        self.take_back()
        if not self.weights_are_numbers():
            self.telling.kept_no_checkpoint(self.state.global_step)
            return
        folder = Path(self.args.output_dir).parent
        path = checkpoints.path_of(folder, self.state.global_step)
        draft = checkpoints.draft_of(path)
        if isinstance(checkpoints.opened(path), checkpoints.Point):
            return  # of this very step: a stop right behind a save
        self._remember_best(folder)
        writes, keep = self.args.should_save, self.args.save_total_limit
        try:
            if writes:
                shutil.rmtree(draft.parent, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            with disk.telling_when_full(path):
                self._save_aside(draft, model, trial)
                manifest = self._manifest()  # which every process has written its part of by then
                point = checkpoints.seal(path, manifest) if writes else None
        finally:
            if writes:
                shutil.rmtree(draft.parent, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        if point is not None:
            self.telling.checkpoint_made(point, best=self.state.best_global_step == point.step)
            checkpoints.prune(folder, keep or 1, self.state.best_global_step)

    def save_now(self) -> None:
        """A checkpoint of the last completed step, outside of Trainer's loop."""
        self._save_checkpoint(self.model, None)

    def load_best(self, folder: Path) -> int | None:
        """Put the weights of the lowest validation loss back; its step, None where its checkpoint is not whole."""
        best = self.state.best_global_step
        point = checkpoints.opened(checkpoints.path_of(folder, best)) if best else None
        if not isinstance(point, checkpoints.Point):
            return None
        self.state.best_model_checkpoint = str(point.path)
        self._load_best_model()
        return best

    def _save_aside(self, draft: Path, model: Any, trial: Any) -> None:
        """Let Trainer save to `draft`, whose folder it names itself and must not tidy up."""
        final, keep = self.args.output_dir, self.args.save_total_limit
        self.args.output_dir, self.args.save_total_limit = str(draft.parent), None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir, self.args.save_total_limit = final, keep
        if self.args.should_save:
            for item in self.kept:
                item.save(draft)

    def _manifest(self) -> checkpoints.Manifest:
        return checkpoints.Manifest(
            step=self.state.global_step,
            tokens=ranks.total(self.telling.tokens),
            settings=dict(self.settings),
            versions=loading.versions(),
        )

    def _remember_best(self, folder: Path) -> None:
        best = self.state.best_global_step
        if best and (best == self.state.global_step or checkpoints.path_of(folder, best).is_dir()):
            self.state.best_model_checkpoint = str(checkpoints.path_of(folder, best))

    # Evaluation

    def evaluate(self, eval_dataset: Any = None, *arguments: Any, **options: Any) -> Any:
        """The validation loss; {} where it was given up. Where a batch of it does not fit, with half as many rows."""
        rows_now = self.eval_dataset if eval_dataset is None else eval_dataset
        self._tokens_a_row = sum(_loss_tokens(labels) for labels in rows_now["labels"]) / max(1, len(rows_now))
        while True:
            try:
                return super().evaluate(eval_dataset, *arguments, **options)
            except EvaluationGivenUp:
                return {}
            except Exception as error:
                rows = self.args.per_device_eval_batch_size
                if not oom.is_out_of_memory(error) or rows == 1 or self.args.world_size > 1:
                    raise
            oom.free()
            self.args.per_device_eval_batch_size = rows // 2
            self.telling.evaluates_with(rows // 2, self.state.global_step)

    def _evaluate_now(self) -> None:
        """As Trainer does behind a step."""
        self._determine_best_metric(self._evaluate(None, None), None)

    def prediction_step(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        """One batch, weighted so that Trainer's mean over rows is the mean over tokens, however they are batched."""
        loss, logits, labels = super().prediction_step(model, inputs, *arguments, **options)
        if loss is not None and self._tokens_a_row:
            tokens = int((inputs["labels"][:, 1:] != IGNORED).sum())
            loss = loss * (tokens / (self._tokens_a_row * len(inputs["labels"])))
        return loss, logits, labels

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        return bool(metrics) and super()._determine_best_metric(metrics, trial)


def _loss_tokens(labels: list[int]) -> int:
    return len(labels) - 1 - labels[1:].count(IGNORED)


class _Steps(TrainerCallback):
    """Tells the trainer where in a step it is."""

    def __init__(self, trainer: LastingTrainer) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Before its first micro-batch."""
        self.trainer.step_begins()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """After its update."""
        self.trainer.step_ended()
