"""The loss at labels alone is the model's own: for every way a run can ask for it, or it steps aside."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

VOCABULARY = 97


def tiny(**changes: Any) -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    return Qwen2ForCausalLM(Qwen2Config(**shape | changes))


def with_adapter(model: Any, **changes: Any) -> Any:
    """LoRA whose B is not zero, so that it takes part in the loss."""
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **{"target_modules": "all-linear"} | changes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)
    return tuned


def batch_of(*lengths: int, asked: float = 0.5) -> dict[str, Any]:
    from lora_tui.worker.collate import Padded

    generator = torch.Generator().manual_seed(len(lengths))
    rows = []
    for length in lengths:
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
        prompt = min(length - 1, int(length * asked))
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return Padded(0)(rows)


def gradients(model: Any) -> dict[str, Any]:
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    return found


def assert_equal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, atol=1e-6), name


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 24), min_size=1, max_size=5),
    asked=st.floats(0, 1),
    items=st.none() | st.integers(1, 500),
    tied=st.booleans(),
)
def test_loss_and_gradients_are_the_models_own_whatever_the_batch(
    lengths: list[int], asked: float, items: int | None, tied: bool
) -> None:
    from lora_tui.worker.loss import can_skip_masked, label_only_loss

    model = with_adapter(tiny(tie_word_embeddings=tied))
    base = model.get_base_model()
    assert can_skip_masked(base)
    batch = batch_of(*lengths, asked=asked)
    expected = model(**batch, num_items_in_batch=items).loss
    expected.backward()
    theirs = gradients(model)
    loss = label_only_loss(base, batch, items)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_equal(gradients(model), theirs)


def test_a_vocabulary_larger_than_a_piece_of_logits_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from lora_tui.worker import loss as room

    model = with_adapter(tiny(), use_dora=True)
    batch = batch_of(9, 17, 4)
    whole = room.label_only_loss(model.get_base_model(), batch, 20)
    whole.backward()
    theirs = gradients(model)
    monkeypatch.setattr(room, "_PIECE_BYTES", 4 * VOCABULARY * 3)  # three labels at a time
    pieces = room.label_only_loss(model.get_base_model(), batch, 20)
    pieces.backward()
    assert pieces.item() == pytest.approx(whole.item(), rel=1e-6)
    assert_equal(gradients(model), theirs)


def test_a_batch_without_a_label_is_worth_nothing_and_breaks_nothing() -> None:
    from lora_tui.worker.loss import label_only_loss

    model = with_adapter(tiny())
    batch = batch_of(6, 3)
    batch["labels"][:] = -100
    loss = label_only_loss(model.get_base_model(), batch, None)
    loss.backward()
    assert loss.item() == 0


def test_a_head_that_is_trained_gets_its_gradient() -> None:
    from lora_tui.worker.loss import can_skip_masked, label_only_loss

    model = tiny(tie_word_embeddings=False)
    assert can_skip_masked(model)
    batch = batch_of(6, 11)
    model(**batch).loss.backward()
    theirs = gradients(model)
    label_only_loss(model, batch, None).backward()
    assert_equal(gradients(model), theirs)


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["q_proj", "lm_head"]},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": {"embed_tokens": [3, 5]}},
    ],
    ids=["lora on the head", "the head trained whole", "new tokens of a tied head"],
)
def test_what_trains_the_head_itself_leaves_the_loss_to_trl(changes: dict[str, Any]) -> None:
    from lora_tui.worker.loss import can_skip_masked

    tied = "trainable_token_indices" in changes
    tuned = with_adapter(tiny(tie_word_embeddings=tied), **changes)
    assert not can_skip_masked(tuned.get_base_model())


def test_a_base_that_changes_its_logits_or_balances_experts_leaves_the_loss_to_trl() -> None:
    from transformers import (
        Gemma2Config,
        Gemma2ForCausalLM,
        MixtralConfig,
        MixtralForCausalLM,
        RecurrentGemmaConfig,
        RecurrentGemmaForCausalLM,
    )

    from lora_tui.worker.loss import can_skip_masked

    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    assert not can_skip_masked(Gemma2ForCausalLM(Gemma2Config(**shape)))  # caps its logits
    capped = RecurrentGemmaConfig(**(shape | {"num_hidden_layers": 3, "num_key_value_heads": 2}))
    assert not can_skip_masked(RecurrentGemmaForCausalLM(capped))  # by another name
    experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
    assert not can_skip_masked(MixtralForCausalLM(MixtralConfig(**shape, **experts, output_router_logits=True)))
    assert can_skip_masked(MixtralForCausalLM(MixtralConfig(**shape, **experts)))


def test_a_micro_batch_in_parts_adds_up_to_the_whole() -> None:
    from lora_tui.worker.loss import label_only_loss
    from lora_tui.worker.trainer import parts_of

    model = with_adapter(tiny())
    base = model.get_base_model()
    batch = batch_of(23, 4, 11, 5, 16)
    items = int((batch["labels"][:, 1:] != -100).sum())
    whole = label_only_loss(base, batch, items)
    whole.backward()
    theirs = gradients(model)
    parts = list(parts_of(batch, 24))
    assert [part["input_ids"].shape[0] for part in parts] == [1, 1, 2, 1]
    assert max(part["input_ids"].shape[1] for part in parts[1:]) == 16, "short rows are not padded to the longest"
    losses = [label_only_loss(base, part, items) for part in parts]
    for loss in losses:
        loss.backward()
    assert sum(loss.item() for loss in losses) == pytest.approx(whole.item(), rel=1e-6)
    assert_equal(gradients(model), theirs)


def test_layers_are_recomputed_only_where_memory_asks_for_it_with_the_same_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lora_tui.worker import recompute
    from lora_tui.worker.loss import label_only_loss

    model = with_adapter(tiny(num_hidden_layers=6), lora_dropout=0.2).train()
    base = model.get_base_model()
    batch = batch_of(20, 20)

    def passed() -> dict[str, Any]:
        torch.manual_seed(5)
        label_only_loss(base, batch, 30).backward()
        return gradients(model)

    expected = passed()
    base.gradient_checkpointing_enable({"use_reentrant": False})
    plan = recompute.Recompute(base)

    def recomputed(slots: int) -> list[bool]:
        plan.plan(slots)
        return [layer.gradient_checkpointing for layer in plan.layers]

    assert recomputed(40) == [True, False, True, True, True, True], "all but the one that is measured"
    assert_equal(passed(), expected)
    assert 4 * 32 < plan.bytes_per_slot < 4 * 32 * 100
    assert [layer.gradient_checkpointing for layer in plan.layers] == [True, *[False] * 5], "the rest was told at once"
    monkeypatch.setattr(recompute, "KEPT_BYTES", plan.bytes_per_slot * 40 * 3.5)
    assert recomputed(40) == [True, True, True, False, False, False]
    assert_equal(passed(), expected)
    assert not any(recomputed(4))
    assert_equal(passed(), expected)
    again = recompute.Recompute(base)
    again.plan(40)
    assert_equal(passed(), expected)
    assert [layer.gradient_checkpointing for layer in again.layers] == [True, False, True, True, False, False]
