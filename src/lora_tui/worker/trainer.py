"""SFTTrainer on rows that are tokens already."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch

from lora_tui.worker.arguments import schedule
from lora_tui.worker.collate import SimilarLengths
from lora_tui.worker.forgetting.fisher import FisherMeter
from lora_tui.worker.forgetting.penalty import Penalty
from lora_tui.worker.lasting import LastingTrainer
from lora_tui.worker.loss import can_skip_masked, label_only_loss
from lora_tui.worker.optimizers import loraplus
from lora_tui.worker.tokenize import IGNORED
from lora_tui.worker.wrapped_head import head_is_wrapped, loss_through_head
from lora_tui.workspace.profiles import Profile


class AssistantTrainer(LastingTrainer):
    """SFTTrainer on rows that are tokens already: own batches, own loss where it is equal and faster, token count."""

    profile: Profile
    optimizer: Any
    lr_scheduler: Any
    penalties: Sequence[Penalty] = ()
    rows_in_order = 0  # of the planned batch: one that is halved later must see its rows in the same order
    meter: FisherMeter | None = None

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss on a GPU or in several processes; else the same number without the masked positions."""
        if self.model.training:
            self.telling.tokens += int((inputs["labels"] != IGNORED).sum())
        base = self.accelerator.unwrap_model(model).get_base_model()
        if head_is_wrapped(base):
            shared = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            loss, outputs = loss_through_head(model, inputs, num_items_in_batch, processes=shared)
            return (loss, outputs) if return_outputs else loss
        alone = self.accelerator.num_processes == 1 and self.args.device.type == "cpu"
        if return_outputs or not alone or not can_skip_masked(base):
            return super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )
        return label_only_loss(base, inputs, num_items_in_batch)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch; with the last one of a step come the penalties, whose gradients the Fisher never sees.

        What is returned, and logged as the loss, is the cross entropy alone.
        """
        with self._measuring(inputs, num_items_in_batch):
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not self.accelerator.sync_gradients:
            return loss
        if self.meter is not None:
            self.meter.step_done()
        if self.penalties:
            bare = self.accelerator.unwrap_model(model)
            total = torch.stack([penalty(bare, self.state.global_step) for penalty in self.penalties]).sum()
            self.accelerator.backward(total)
            self.telling.penalties.append(float(total.detach()))
        return loss

    def take_back(self) -> None:
        """Also what was measured of the step that was begun."""
        super().take_back()
        if self.meter is not None:
            self.meter.discard()

    def _measuring(self, inputs: dict[str, Any], items: Any) -> contextlib.AbstractContextManager[None]:
        """The meter watches; it is told what the sum over labels is divided by before its gradients are made."""
        if self.meter is None:
            return contextlib.nullcontext()
        parts = self.current_gradient_accumulation_steps
        if items is None:
            tokens = float((inputs["labels"][:, 1:] != IGNORED).sum())
            scale = tokens * parts
        else:  # this process's share of them, so that the mean over processes is that of all rows
            scale = float(items) / (self.accelerator.num_processes if self.args.average_tokens_across_devices else 1)
            tokens = scale / parts
        if self.accelerator.scaler is not None:
            scale /= self.accelerator.scaler.get_scale()
        return self.meter.watching(scale, tokens)

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        """Evaluate without touching the random state, so that a resumed run draws the same dropout either way."""
        with torch.random.fork_rng():
            return super().evaluate(*arguments, **options)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(ids) for ids in dataset["input_ids"]]
        return SimilarLengths(lengths, self.rows_in_order or self.args.train_batch_size, self.args.seed)

    def create_optimizer(self, model: Any = None) -> Any:
        """The one of the profile; LoRA+ is none of Trainer's."""
        ratio = self.profile.lora.loraplus_lr_ratio
        if self.optimizer is None and ratio:
            self.optimizer = loraplus(self.args, self.model if model is None else model, ratio)
        return super().create_optimizer(model)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The one of the profile; the exponential one is none of Trainer's."""
        if self.lr_scheduler is None:
            warmup = self.args.get_warmup_steps(num_training_steps)
            chosen = self.optimizer if optimizer is None else optimizer
            self.lr_scheduler = schedule(self.profile.training, chosen, warmup, num_training_steps)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Not into every checkpoint: the adapter's own card is written when it is registered."""
