"""Training on a CPU: its threads, and bf16 only where it computes what fp32 does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def model(width: int = 64) -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=211,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).bfloat16()


ROW = {"input_ids": list(range(1, 41)), "labels": [-100] * 20 + list(range(21, 41))}


def events(log: Any) -> list[Any]:
    from lora_tui.jobs.journal import JournalReader

    return JournalReader(log.path).read()


def test_the_loss_a_bf16_base_is_compared_with_is_that_of_the_same_base_in_fp32() -> None:
    from lora_tui.worker.cpu_bf16 import wide_loss

    base = model()
    batch = {key: torch.tensor([value]) for key, value in ROW.items()}
    found = wide_loss(base, batch)
    assert {weight.dtype for weight in base.parameters()} == {torch.bfloat16}, "narrowed again"
    with torch.no_grad():
        expected = base.float()(**batch).loss.item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_bf16_is_kept_where_it_computes_the_same_and_given_up_where_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.jobs import journal
    from lora_tui.worker import cpu_bf16

    log = journal.Journal(tmp_path / "journal.jsonl")
    assert cpu_bf16.checked(model(), [ROW], log, asked=False).dtype is torch.bfloat16
    assert "held in bf16" in events(log)[-1].message
    monkeypatch.setattr(cpu_bf16, "_NEAR", 0.0)  # as if it had been far off
    assert cpu_bf16.checked(model(), [ROW], log, asked=False).dtype is torch.float32
    assert "held in fp32" in events(log)[-1].message
    assert cpu_bf16.checked(model(), [ROW], log, asked=True).dtype is torch.bfloat16
    assert events(log)[-1].code == "bf16"
    log.close()


def test_threads_are_those_a_person_asks_for_or_no_more_than_there_are() -> None:
    from lora_tui.worker.threads import choose_threads

    before = torch.get_num_threads()
    try:
        assert choose_threads(model(), 3) == 3 == torch.get_num_threads()
        torch.set_num_threads(2)
        for base in (model(), model().float()):
            assert choose_threads(base) in (1, 2)
    finally:
        torch.set_num_threads(before)
