"""Fisher information: rows' own gradients, however they are batched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM

from lora_tui.worker.forgetting.before import weights_before
from lora_tui.worker.forgetting.ewc import EWC, carried, estimated
from lora_tui.worker.forgetting.fisher import FisherMeter
from lora_tui.worker.forgetting.kl import KL
from lora_tui.worker.forgetting.scores import at_labels, batch_of
from lora_tui.worker.tokenize import IGNORED, Tokens

pytestmark = pytest.mark.engine


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    found = get_peft_model(Qwen2ForCausalLM(shape), LoraConfig(r=3, target_modules="all-linear"))
    for name, weight in found.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)  # as after some training: at B = 0 nothing flows into A
    return found


@pytest.fixture
def rows() -> list[Tokens]:
    draw = torch.Generator().manual_seed(1)
    made = []
    for at, length in enumerate((5, 9, 7, 6)):
        ids = torch.randint(0, 40, (length,), generator=draw).tolist()
        made.append(Tokens(id=str(at), input_ids=ids, labels=[IGNORED, IGNORED, *ids[2:]]))
    return made


def nats(model: Any, rows: list[Tokens]) -> torch.Tensor:
    scores, labels = at_labels(model, batch_of(rows, pad=0))
    return functional.nll_loss(scores, labels, reduction="sum")


def one_by_one(model: Any, rows: list[Tokens]) -> dict[str, torch.Tensor]:
    """The definition, row by row with autograd."""
    factors = {name: item for name, item in model.named_parameters() if item.requires_grad}
    total = {name: torch.zeros_like(item) for name, item in factors.items()}
    for row in rows:
        for name, slope in zip(factors, torch.autograd.grad(nats(model, [row]), factors.values()), strict=True):
            total[name] += slope**2
    tokens = sum(row.loss_tokens for row in rows)
    return {name: item / tokens for name, item in total.items()}


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_size_of_the_batch_does_not_matter(model: Any, rows: list[Tokens], size: int, checkpointing: bool) -> None:
    expected = one_by_one(model, rows)
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
    meter = FisherMeter(gamma=0.9)
    meter.attach(model)
    tokens = sum(row.loss_tokens for row in rows)
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        with meter.watching(tokens, sum(row.loss_tokens for row in part)):
            (nats(model, part) / tokens).backward()
        (nats(model, part) * 7).backward()  # a penalty's backward pass: nobody watches
    meter.step_done()
    found = meter.value()
    assert found.keys() == expected.keys()
    for name, item in found.items():
        torch.testing.assert_close(item, expected[name], rtol=1e-4, atol=1e-7)


def test_squares_of_a_batchs_gradient_would_be_too_small(model: Any, rows: list[Tokens]) -> None:
    expected = one_by_one(model, rows)
    factors = {name: item for name, item in model.named_parameters() if item.requires_grad}
    together = torch.autograd.grad(nats(model, rows), factors.values())
    tokens = sum(row.loss_tokens for row in rows)
    naive = sum(float((slope / tokens).pow(2).sum()) for slope in together)
    assert naive < 0.5 * sum(float(item.sum()) for item in expected.values())


def test_the_mean_over_steps_survives_a_checkpoint(model: Any, rows: list[Tokens], tmp_path: Any) -> None:
    def step(meter: FisherMeter, row: Tokens) -> None:
        with meter.watching(1.0, row.loss_tokens):
            nats(model, [row]).backward()
        meter.step_done()

    straight, first, second = (FisherMeter(gamma=0.5) for _ in range(3))
    straight.attach(model)
    for row in rows:
        step(straight, row)
    straight.remove()
    first.attach(model)
    for row in rows[:2]:
        step(first, row)
    first.save(tmp_path)
    first.remove()
    second.attach(model)
    second.load(tmp_path)
    for row in rows[2:]:
        step(second, row)
    for name, item in straight.value().items():
        torch.testing.assert_close(second.value()[name], item)


def test_an_estimate_leaves_no_trace(model: Any, rows: list[Tokens]) -> None:
    before = torch.random.get_rng_state()
    model.train()
    found = estimated(model, rows, pad=0)
    expected = one_by_one(model, rows)
    for name, item in found.items():
        torch.testing.assert_close(item, expected[name], rtol=1e-4, atol=1e-7)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training
    assert all(item.grad is None for item in model.parameters())
    assert not any(module._forward_hooks for name, module in model.named_modules() if "lora" in name)


def test_penalties_are_nothing_at_the_start_and_pull_back_from_elsewhere(
    model: Any, rows: list[Tokens], tmp_path: Any
) -> None:
    start = weights_before(model, tmp_path / "start.safetensors")
    terms = [EWC(2.0, estimated(model, rows, pad=0), start), KL(1.0, rows, start, pad=0, size=2, seed=0)]
    for term in terms:
        assert float(term(model, 0).detach()) == pytest.approx(0.0, abs=1e-6)
    factors = [item for item in model.parameters() if item.requires_grad]
    with torch.no_grad():
        for item in factors:
            item.add_(torch.randn_like(item), alpha=0.1)
    again = weights_before(model, tmp_path / "start.safetensors")
    assert all(torch.equal(again.weights[name], item) for name, item in start.weights.items())
    for term in terms:
        value = term(model, 0)
        assert float(value.detach()) > 0.0
        slopes = torch.autograd.grad(value, factors)
        with torch.no_grad():
            for item, slope in zip(factors, slopes, strict=True):
                item.sub_(slope, alpha=1e-3)
        assert float(term(model, 0).detach()) < float(value.detach())


def test_what_is_carried_on_counts_earlier_tasks_less_with_every_run() -> None:
    earlier, run = {"a": torch.tensor([4.0, 0.0])}, {"a": torch.tensor([1.0, 1.0])}
    assert carried(earlier, run, 0.5)["a"].tolist() == [3.0, 1.0]
    assert carried({}, run, 0.5)["a"].tolist() == [1.0, 1.0]
