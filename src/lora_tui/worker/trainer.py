"""SFTTrainer on rows that are tokens already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch

from lora_tui.worker import fused
from lora_tui.worker.arguments import schedule
from lora_tui.worker.collate import ROWS
from lora_tui.worker.forgetting.fisher import FisherMeter
from lora_tui.worker.forgetting.penalty import Penalty
from lora_tui.worker.lasting import LastingTrainer
from lora_tui.worker.loss import add_label_only_loss, can_skip_masked
from lora_tui.worker.mask import IGNORED
from lora_tui.worker.optimizers import loraplus
from lora_tui.worker.recompute import Recompute
from lora_tui.worker.row_order import RowOrder
from lora_tui.worker.token_table import lengths_of
from lora_tui.worker.wrapped_head import head_is_wrapped, loss_through_head
from lora_tui.workspace.profiles import Profile

_PART_VALUES = 1 << 18  # hidden values (slots times width) of a part: about a megabyte, what a core's cache holds


class AssistantTrainer(LastingTrainer):
    """SFTTrainer on rows that are tokens already: own batches, own loss where it is equal and faster, token count."""

    profile: Profile
    optimizer: Any
    lr_scheduler: Any
    penalties: Sequence[Penalty] = ()
    filling = 0  # rows without a label at the end of the table
    rows_in_order = 0  # of the planned batch: one that is halved later must see its rows in the same order
    meter: FisherMeter | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        base = self.accelerator.unwrap_model(self.model)
        base = base.get_base_model() if hasattr(base, "get_base_model") else base
        here = self.args.device.type == "cpu" and not self.is_fsdp_enabled
        self.label_only = here and can_skip_masked(base)
        if here:
            fused.put_in(base)
        if self.label_only:
            add_label_only_loss(base)
        self.recompute = Recompute(base) if self.label_only and self.args.gradient_checkpointing else None

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss; on a CPU the same number without the masked positions, where the base's head allows it."""
        inputs.pop(ROWS, None)
        base = self.accelerator.unwrap_model(model).get_base_model()
        if head_is_wrapped(base):
            shared = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            loss, outputs = loss_through_head(model, inputs, num_items_in_batch, processes=shared)
            return (loss, outputs) if return_outputs else loss
        if return_outputs or not self.label_only:
            return super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )
        loss = model(**inputs, label_only=True, items=num_items_in_batch)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # items are those of all processes; gradients are averaged
        return loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch; with the last one of a step come the penalties, whose gradients the Fisher never sees.

        What is returned, and logged as the loss, is the cross entropy alone.
        """
        with self._measuring(inputs, num_items_in_batch):
            loss = self._in_parts(model, inputs, num_items_in_batch)
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

    def _in_parts(self, model: Any, inputs: dict[str, Any], items: Any) -> torch.Tensor:
        """Forward and backward; on a CPU in parts that its caches hold, which changes nothing but the speed."""
        self.telling.tokens += int((inputs["labels"] != IGNORED).sum())
        alone = self.label_only and self.accelerator.num_processes == 1 and items is not None
        losses = []
        for part in parts_of(inputs, self._part_slots) if alone else (inputs,):
            if self.recompute is not None:
                self.recompute.plan(part["input_ids"].numel())
            losses.append(super().training_step(model, part, items))
        return torch.stack(losses).sum()

    @cached_property
    def _part_slots(self) -> int:
        return max(1, _PART_VALUES // self.model.config.get_text_config().hidden_size)

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
        batch = self.rows_in_order or self.args.train_batch_size
        lengths, strategy = lengths_of(dataset), self.args.train_sampling_strategy
        return RowOrder(strategy, lengths, batch, self.args.seed, filling=self.filling)

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


def parts_of(inputs: dict[str, torch.Tensor], slots: int) -> Iterator[dict[str, torch.Tensor]]:
    """A batch in parts of about `slots` token slots, a row at least, each as wide as its own longest row.

    The loss is a sum over labels divided by a number for all parts, so they add up to the loss and the gradient of the
    whole: what changes is how much is in memory at once, and that short rows are not padded to the longest.
    """
    rows, width = inputs["input_ids"].shape
    ends = width - (inputs["labels"] != IGNORED).flip(1).int().argmax(dim=1)  # nothing behind the last label matters
    order = ends.argsort(descending=True).tolist()
    part: list[int] = []
    for index in order:
        if part and (len(part) + 1) * int(ends[part[0]]) > slots:
            yield _taken(inputs, part, int(ends[part[0]]))
            part = []
        part.append(index)
    yield _taken(inputs, part, int(ends[part[0]])) if len(part) < rows else inputs


def _taken(inputs: dict[str, torch.Tensor], rows: list[int], width: int) -> dict[str, torch.Tensor]:
    return {key: value[rows] if key == ROWS else value[rows, :width] for key, value in inputs.items()}
