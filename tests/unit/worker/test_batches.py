"""Batches and their loss: padding never counts, and the order can be repeated."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_padding_is_masked_by_position_even_where_the_pad_token_is_a_real_one() -> None:
    from lora_tui.worker.collate import Padded

    batch = Padded(pad=7)([{"input_ids": [1, 7, 7], "labels": [-100, 7, 7]}, {"input_ids": [2], "labels": [2]}])
    assert batch["input_ids"].tolist() == [[1, 7, 7], [2, 7, 7]]
    assert batch["labels"].tolist() == [[-100, 7, 7], [2, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_every_row_comes_once_an_epoch_in_an_order_that_seed_and_epoch_decide() -> None:
    from lora_tui.worker.collate import SimilarLengths

    lengths = [(index * 37) % 101 for index in range(103)]
    order = SimilarLengths(lengths, 4, seed=1)
    order.set_epoch(2)
    again = SimilarLengths(lengths, 4, seed=1)
    again.set_epoch(2)
    assert list(order) == list(again)
    assert sorted(order) == list(range(103))
    again.set_epoch(3)
    assert list(order) != list(again)
    batches = [list(order)[at : at + 4] for at in range(0, 100, 4)]
    spread = sum(max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches) / len(batches)
    assert spread < 10, "neighbours should be of similar length"


def test_the_label_only_loss_equals_the_models_own_with_its_gradients() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from lora_tui.worker.collate import Padded
    from lora_tui.worker.loss import can_skip_masked, label_only_loss

    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=97,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
        )
    )
    assert can_skip_masked(model)
    rows = [{"input_ids": list(range(n)), "labels": [-100] * (n // 2) + list(range(n // 2, n))} for n in (6, 11, 20)]
    batch = Padded(0)(rows)
    for items in (None, 50):
        expected = model(**batch, num_items_in_batch=items).loss
        expected.backward()
        gradients = [weight.grad.clone() for weight in model.parameters()]
        model.zero_grad()
        loss = label_only_loss(model, batch, items)
        loss.backward()
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            assert torch.allclose(weight.grad, gradient, atol=1e-6)
        model.zero_grad()
