"""SFTTrainer on rows that are tokens already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from lora_tui.worker.collate import SimilarLengths
from lora_tui.worker.lasting import LastingTrainer
from lora_tui.worker.loss import can_skip_masked, label_only_loss
from lora_tui.worker.tokenize import IGNORED


class Penalty(Protocol):
    """Something to minimise beside the cross entropy (EWC, KL, L2)."""

    def __call__(self, model: Any) -> torch.Tensor:
        """Its value at the current weights, a scalar with a gradient; once a micro-batch."""

    def after_backward(self, model: Any) -> None:
        """Look at the gradients of the micro-batch, which `.grad` holds the running sum of."""


class AssistantTrainer(LastingTrainer):
    """SFTTrainer on rows that are tokens already: own batches, own loss where it is equal and faster, token count."""

    penalties: Sequence[Penalty] = ()
    rows_in_order = 0  # of the planned batch: one that is halved later must see its rows in the same order

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss on a GPU or in several processes; else the same number without the masked positions."""
        if self.model.training:
            self.telling.tokens += int((inputs["labels"] != IGNORED).sum())
        base = self.accelerator.unwrap_model(model).get_base_model()
        alone = self.accelerator.num_processes == 1 and self.args.device.type == "cpu"
        if return_outputs or not alone or not can_skip_masked(base):
            return super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )
        return label_only_loss(base, inputs, num_items_in_batch)

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        """Evaluate without touching the random state, so that a resumed run draws the same dropout either way."""
        with torch.random.fork_rng():
            return super().evaluate(*arguments, **options)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(ids) for ids in dataset["input_ids"]]
        return SimilarLengths(lengths, self.rows_in_order or self.args.train_batch_size, self.args.seed)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Not into every checkpoint: the adapter's own card is written when it is registered."""
