"""How much each LoRA weight matters for what is being learned: the diagonal of the empirical Fisher information.

Per token: F = Σ g² / tokens, where g is the gradient of one row's log-likelihood (in nats, summed over its labels) and
the sum goes over rows. Squares of a batch's gradient would be too small: rows' gradients cancel. So each row's own
gradient is formed, layer by layer during the backward pass, from what the layer was given and what came back; no extra
pass is needed, and gradient accumulation does not blur it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lora_tui.worker import ranks
from lora_tui.worker.tensors import load_tensors, save_tensors

NAME = "fisher.safetensors"  # beside adapter_model.safetensors
_FACTORS = ("lora_A", "lora_B")


class _Squares(torch.autograd.Function):
    """Passes `output` on; in the backward pass tells `sink` every row's squared weight gradient, summed over rows.

    A Function, not a hook that holds `given`: with gradient checkpointing what is saved here is recomputed too.
    """

    @staticmethod
    def forward(context: Any, given: torch.Tensor, output: torch.Tensor, sink: Any) -> torch.Tensor:
        context.save_for_backward(given)
        context.sink = sink
        return output.view_as(output)

    @staticmethod
    def backward(context: Any, returned: torch.Tensor) -> Any:
        (given,) = context.saved_tensors
        context.sink(given, returned)
        return None, returned, None


class FisherMeter:
    """Keeps F ← γF + (1 − γ)·F(step) over the optimizer steps (Chaudhry et al. 2018, online EWC)."""

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self.steps = 0
        self.mean: dict[str, torch.Tensor] = {}  # of F over the steps, not yet corrected for having begun at 0
        self._squares: dict[str, torch.Tensor] = {}  # of the step being made
        self._tokens = 0.0
        self._scale = 0.0  # 0: nobody measures now
        self._hooks: list[Any] = []

    def attach(self, model: Any) -> None:
        """Watch this model, and no other any more."""
        self.remove()
        names = {id(module): name for name, module in model.named_modules()}
        for module in model.modules():
            for factor in _FACTORS:
                for layer in getattr(module, factor, {}).values():
                    if isinstance(layer, torch.nn.Linear) and layer.weight.requires_grad:
                        watch = partial(self._watch, f"{names[id(layer)]}.weight")
                        self._hooks.append(layer.register_forward_hook(watch))

    @contextmanager
    def watching(self, scale: float, tokens: float) -> Iterator[None]:
        """Measure the backward passes made here, of `tokens` labels whose nats are summed and divided by `scale`."""
        self._scale = scale
        self._tokens += tokens
        try:
            yield
        finally:
            self._scale = 0.0

    def step_done(self) -> None:
        """An optimizer step is complete: take its squares into the mean."""
        spoiled = not all(bool(torch.isfinite(squares).all()) for squares in self._squares.values())
        if spoiled or not self._tokens:
            self.discard()
            return
        for name, squares in self._squares.items():
            mean = self.mean.get(name, torch.zeros_like(squares)).to(squares.device)
            self.mean[name] = mean.mul_(self.gamma).add_(squares, alpha=(1 - self.gamma) / self._tokens)
        self.steps += 1
        self.discard()

    def discard(self) -> None:
        """Forget what was measured since the last complete step."""
        self._squares.clear()
        self._tokens = 0.0

    def reset(self) -> None:
        """Begin anew."""
        self.steps = 0
        self.mean = {}
        self.discard()

    def value(self) -> dict[str, torch.Tensor]:
        """F by parameter name, each of its weight's shape, in squared nats per token; empty before the first step."""
        if not self.steps:
            return {}
        correction = 1 - self.gamma**self.steps
        return {name: mean / correction for name, mean in self.mean.items()}

    def save(self, folder: Path) -> None:
        """Into a checkpoint."""
        save_tensors({**self.mean, "steps": torch.tensor(self.steps)}, folder / NAME)

    def load(self, folder: Path) -> None:
        """From a checkpoint. Raises BadInput when its file is damaged."""
        state = load_tensors(folder / NAME)
        self.steps = int(state.pop("steps"))
        self.mean = state

    def remove(self) -> None:
        """Leave the model as it was."""
        while self._hooks:
            self._hooks.pop().remove()

    def _watch(self, name: str, layer: torch.nn.Module, given: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not self._scale or not torch.is_grad_enabled() or given[0].dim() != 3:
            return None
        watched: torch.Tensor = _Squares.apply(given[0], output, partial(self._take, name))
        return watched

    def _take(self, name: str, given: torch.Tensor, returned: torch.Tensor) -> None:
        """given: (rows, length, in), returned: (rows, length, out)."""
        rows = torch.einsum("bto,bti->boi", returned.float(), given.float()) * self._scale
        squares = (rows**2).sum(0)
        known = self._squares.get(name)
        self._squares[name] = squares if known is None else known + squares


def averaged(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The mean over all training processes, each of which has seen other rows; call it in every one of them."""
    world = ranks.here().world
    if world > 1:
        for name in sorted(values):
            torch.distributed.all_reduce(values[name])
            values[name].div_(world)
    return values
