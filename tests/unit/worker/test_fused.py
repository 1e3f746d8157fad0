"""Layers fused on a CPU compute what the libraries' own do, are really used, and step aside where they differ."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

VOCABULARY = 97
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
NEAR = {"float32": 1e-5, "bfloat16": 2e-2}  # of a gradient's length


def base(kind: str = "qwen2", dtype: str = "float32", **changes: Any) -> Any:
    """Two layers as wide as a few pieces that are worked on at a time."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 256,
        "intermediate_size": 640,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = AutoConfig.for_model(kind, **shape | changes)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.copy_(1 + 0.2 * torch.randn(weight.shape, generator=generator))
    return model


def adapted(model: Any, **changes: Any) -> Any:
    """LoRA whose B is not zero, so that it takes part in the loss; in training."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION} | changes
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)
    return tuned.train()


def step(model: Any, rows: int = 2, length: int = 300) -> tuple[float, dict[str, Any]]:
    """The label-only loss of random tokens, and the gradients."""
    from lora_tui.worker.loss import label_only_loss

    ids = torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(4))
    torch.manual_seed(3)  # dropout
    loss = label_only_loss(model.get_base_model(), {"input_ids": ids, "labels": ids}, None)
    loss.backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    return loss.item(), found


def assert_same(model: Any, other: Any, near: float = NEAR["float32"]) -> None:
    (loss, ours), (stock, theirs) = step(model), step(other)
    assert loss == pytest.approx(stock, rel=min(near, 1e-3))
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= near * gradient.norm(), name


def fused(model: Any) -> tuple[Any, Any]:
    """A twin with fused layers, and how many there are of each kind."""
    from lora_tui.worker import fused as room

    twin = copy.deepcopy(model)
    return twin, room.put_in(twin)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama", "mistral"])
def test_loss_and_gradients_are_the_libraries_own(kind: str, dtype: str) -> None:
    model = adapted(base(kind, dtype))
    twin, found = fused(model)
    assert found == {"norm": 9 if kind == "qwen3" else 5, "mlp": 2, "attention": 2, "adapter": 8}, "all of them"
    assert_same(twin, model, NEAR[dtype])


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_dropout": 0.3},
        {"use_rslora": True, "r": 16},
        {"target_modules": "all-linear", "lora_dropout": 0.1},
        {"use_dora": True},
        {"lora_bias": True},
        {"target_modules": ["q_proj"], "modules_to_save": ["norm", "up_proj"]},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_whatever_the_adapter_is(changes: dict[str, Any]) -> None:
    model = adapted(base(), **changes)
    twin, _ = fused(model)
    assert_same(twin, model)


@pytest.mark.parametrize(
    "function", ["norm._Norm", "mlp._Frozen", "attention._Attention", "adapter._Adapted"], ids=lambda name: name[:4]
)
def test_a_training_step_takes_the_fast_way(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    place, name = function.split(".")
    room = importlib.import_module(f"lora_tui.worker.fused.{place}")
    taken: list[int] = []
    stock: Callable[..., Any] = getattr(room, name).apply

    class Counted:
        @staticmethod
        def apply(*given: Any) -> Any:
            taken.append(1)
            return stock(*given)

    monkeypatch.setattr(room, name, Counted)
    twin, found = fused(adapted(base(dtype="bfloat16")))
    step(twin)
    assert len(taken) == found[{"norm": "norm", "mlp": "mlp", "attention": "attention"}.get(place, "adapter")]


def test_rows_that_are_long_and_layers_that_are_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from lora_tui.worker.fused import attention

    model = adapted(base(dtype="bfloat16"), lora_dropout=0.2)
    twin, _ = fused(model)
    expected = step(twin)
    twin.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    loss, found = step(twin)
    assert loss == expected[0]
    assert all(torch.equal(found[name], gradient) for name, gradient in expected[1].items())
    monkeypatch.setattr(attention, "_LONGEST", 16)  # torch's own backward pass
    assert_same(twin, model, NEAR["bfloat16"])


def test_a_padding_mask_an_adapter_switched_off_and_answers_are_as_they_were() -> None:
    model = adapted(base())
    twin, _ = fused(model)
    ids = torch.randint(0, VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(4))
    mask = torch.ones_like(ids)
    mask[1, :7] = 0
    for one in (model, twin):
        one.eval()
    with torch.no_grad():
        seen = [one(input_ids=ids, attention_mask=mask).logits[mask.bool()] for one in (model, twin)]
        assert torch.allclose(*seen, atol=1e-5)
        with model.disable_adapter(), twin.disable_adapter():
            assert torch.allclose(model(input_ids=ids).logits, twin(input_ids=ids).logits, atol=1e-5)
    answers = [one.generate(input_ids=ids, max_new_tokens=8, do_sample=False) for one in (model, twin)]
    assert torch.equal(*answers)
    merged = [one.merge_and_unload().state_dict() for one in (model, twin)]
    assert all(torch.equal(merged[1][name], weight) for name, weight in merged[0].items())


def test_what_fisher_information_watches_is_left_to_peft() -> None:
    from lora_tui.worker.forgetting.fisher import FisherMeter

    model = adapted(base())
    twin, _ = fused(model)
    values = []
    for one in (model, twin):
        meter = FisherMeter(0.9)
        meter.attach(one)
        with meter.watching(1.0, 10.0):
            step(one)
        meter.step_done()
        values.append(meter.value())
        meter.remove()
    assert values[0].keys() == values[1].keys() != set()
    assert all(torch.allclose(values[1][name], value, rtol=1e-4) for name, value in values[0].items())


def test_layers_that_compute_something_else_are_left_alone() -> None:
    from lora_tui.worker import fused as room

    for kind in ("gemma2", "starcoder2"):  # another norm, GELU, capped scores
        assert not set(room.put_in(base(kind).requires_grad_(False))) - {"attention"}
    trained = base()
    assert "norm" not in room.put_in(trained.requires_grad_(True)), "a norm that is trained"
    assert step_of_all(trained) > 0


def step_of_all(model: Any) -> int:
    """How many weights of a base that is trained whole get a gradient."""
    ids = torch.randint(0, VOCABULARY, (1, 12))
    model(input_ids=ids, labels=ids).loss.backward()
    return sum(weight.grad is not None for weight in model.parameters())


def test_the_plan_counts_on_what_the_worker_knows() -> None:
    from lora_tui.backends.shape import FUSED
    from lora_tui.worker import fused as room

    for kind in FUSED:
        assert set(room.put_in(base(kind).requires_grad_(False))) == {"norm", "mlp", "attention"}, kind
