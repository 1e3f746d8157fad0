"""Rows that share a pack do not see each other, and a base that would let them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE))


def rows() -> list[Any]:
    from lora_tui.worker.tokenize import Tokens

    generator = torch.Generator().manual_seed(3)
    made = []
    for place, length in enumerate((12, 30, 7, 19, 9)):
        ids = torch.randint(0, 97, (length,), generator=generator).tolist()
        made.append(Tokens(f"row-{place}", ids, [-100] * (length // 3) + ids[length // 3 :]))
    return made


def test_packed_rows_have_the_loss_and_gradients_of_rows_alone(model: Any, tmp_path: Path) -> None:
    from lora_tui.worker.collate import ROWS, Padded
    from lora_tui.worker.loss import label_only_loss
    from lora_tui.worker.token_table import ids_of, write_packs, write_rows

    table = write_rows(tmp_path / "rows.arrow", rows())
    packs = write_packs(tmp_path / "packs.arrow", table, 40)
    assert len(packs) == 2
    collate = Padded(0)
    alone, packed = collate([dict(row) for row in table]), collate([dict(pack) for pack in packs])
    assert "attention_mask" not in packed, "an all-ones mask would make transformers forget the borders"
    assert sorted(ids_of(table, packed[ROWS].flatten().tolist())) == [f"row-{place}" for place in range(5)]
    first = label_only_loss(model, alone, 50)
    first.backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    second = label_only_loss(model, packed, 50)
    second.backward()
    assert second.item() == pytest.approx(first.item(), rel=1e-5)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-6)
    model.zero_grad()


def test_no_row_of_a_pack_has_to_foretell_the_next_ones_first_token() -> None:
    from lora_tui.worker.collate import Padded

    pack = {"input_ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8], "lengths": [2, 2], "rows": [0, 1]}
    batch = Padded(0)([pack, {"input_ids": [9], "labels": [9], "lengths": [1], "rows": [2]}])
    assert batch["labels"].tolist() == [[-100, 6, -100, 8], [-100, -100, -100, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1], [0, 0, 1, 2]]


def test_a_base_that_keeps_rows_apart_passes_and_one_that_does_not_is_refused(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.worker.apart import check_apart
    from lora_tui.workspace.errors import BadInput

    check_apart(model, "base", "cpu")
    stock = model.forward

    def leaking(**given: Any) -> Any:  # as every attention does that does not look at the positions
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        return stock(**given)

    monkeypatch.setattr(model, "forward", leaking)
    with pytest.raises(BadInput, match="see the one before it"):
        check_apart(model, "base", "cpu")


def test_a_base_with_linear_attention_is_refused_before_it_is_loaded() -> None:
    from transformers import Qwen2Config, Qwen3NextConfig

    from lora_tui.worker.apart import check_packable
    from lora_tui.workspace.errors import BadInput

    check_packable(Qwen2Config(**SHAPE), "base")
    with pytest.raises(BadInput, match=r"training\.packing.*linear_attention"):
        check_packable(Qwen3NextConfig(num_hidden_layers=4), "base")
