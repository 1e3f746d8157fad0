"""What a model says at the labels of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lora_tui.worker.collate import Padded
from lora_tui.worker.loss import can_skip_masked
from lora_tui.worker.tokenize import IGNORED, Tokens

Batch = dict[str, torch.Tensor]


def batches(rows: Sequence[Tokens], pad: int, size: int) -> list[Batch]:
    """The rows in batches of similar length, in an order that depends on their lengths and ids alone."""
    ordered = sorted(rows, key=lambda row: (len(row.input_ids), row.id, row.part))
    collate = Padded(pad)
    return [collate(_plain(ordered[at : at + size])) for at in range(0, len(ordered), size)]


def batch_of(rows: Iterable[Tokens], pad: int) -> Batch:
    """These rows as one batch."""
    return Padded(pad)(_plain(rows))


def _plain(rows: Iterable[Tokens]) -> list[dict[str, list[int]]]:
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]


class Ends(NamedTuple):
    """Where a batch has labels: what goes into the head, and the labels it is to say."""

    states: torch.Tensor  # (labels, hidden); the logits themselves where the model has no plain head
    labels: torch.Tensor  # (labels,)
    head: Callable[[torch.Tensor], torch.Tensor]

    def scores(self, part: slice = slice(None)) -> torch.Tensor:
        """Log-probabilities (labels, vocabulary) in fp32 of a part of the labels."""
        return torch.log_softmax(self.head(self.states[part]).float(), dim=-1)


def ends_of(model: Any, batch: Batch) -> Ends:
    """A forward pass of `model` (PEFT's) up to its head."""
    batch = {name: item.to(model.device) for name, item in batch.items()}
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    asked = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "use_cache": False}
    base = model.get_base_model()
    if can_skip_masked(base):  # the head only where there is a label: most of the work of a small model
        return Ends(base.model(**asked).last_hidden_state[:, :-1][wanted], labels[wanted], base.lm_head)
    return Ends(model(**asked).logits[:, :-1][wanted], labels[wanted], lambda logits: logits)


def at_labels(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (labels, vocabulary) in fp32, and the labels themselves (labels,). `model` is PEFT's."""
    ends = ends_of(model, batch)
    return ends.scores(), ends.labels


def cross_entropy(now: Ends) -> torch.Tensor:
    """The loss summed over the labels, in nats."""
    return _summed(lambda part: functional.nll_loss(now.scores(part), now.labels[part], reduction="sum"), now)


def divergence(then: Ends, now: Ends) -> torch.Tensor:
    """KL(then ‖ now) summed over the labels, in nats."""

    def of(part: slice) -> torch.Tensor:
        with torch.no_grad():
            before = then.scores(part)
        return functional.kl_div(now.scores(part), before, reduction="sum", log_target=True)

    return _summed(of, now)


def _summed(measure: Callable[[slice], torch.Tensor], ends: Ends) -> torch.Tensor:
    """The sum over pieces of the labels; whole distributions are held of one piece only, backwards too."""
    width = ends.head.out_features if isinstance(ends.head, torch.nn.Linear) else ends.states.shape[-1]
    rows = max(1, _PIECE_BYTES // (4 * width))
    total = torch.zeros((), dtype=torch.float32, device=ends.states.device)
    for at in range(0, len(ends.labels), rows):
        part = slice(at, at + rows)
        if torch.is_grad_enabled() and ends.states.requires_grad:
            total = total + checkpoint(measure, part, use_reentrant=False)
        else:
            total = total + measure(part)
    return total


_PIECE_BYTES = 16 << 20  # of one distribution; a handful of them is held at a time
