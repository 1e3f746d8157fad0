"""K-quants made here by ggml itself: what `gguf` reads back, which tensor gets which type, and llama.cpp's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exports_here
from lora_tui.adapters.exporting import k_quants
from lora_tui.jobs.job import Export
from tiny_models import TinyModels


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("Q4_K", 0.09),
        ("Q5_K", 0.045),
        ("Q6_K", 0.025),
        ("Q8_0", 0.01),
        ("Q4_0", 0.1),
        ("Q4_1", 0.09),
        ("Q5_0", 0.05),
        ("Q5_1", 0.05),
    ],
)
def test_blocks_are_what_gguf_reads_back(kind: str, most: float) -> None:
    import gguf

    rows = np.random.default_rng(0).standard_normal((16, 512)).astype(np.float32)
    wanted = gguf.GGMLQuantizationType[kind]
    made = k_quants.quantize(rows, wanted)
    read = gguf.quants.dequantize(made, wanted)
    assert np.linalg.norm(read - rows) / np.linalg.norm(rows) < most
    if not kind.endswith("_K"):  # which gguf makes as well
        assert np.array_equal(made, gguf.quants.quantize(rows, wanted))


def test_the_mixture_is_that_of_llama_cpp() -> None:
    layers = range(32)
    more = [n for n in layers if k_quants.tensor_type("Q4_K_M", f"blk.{n}.ffn_down.weight", 32, False) == "Q6_K"]
    assert more == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    assert k_quants.tensor_type("Q4_K_M", "blk.4.attn_q.weight", 32, False) == "Q4_K"
    assert k_quants.tensor_type("Q5_K_M", "blk.0.attn_v.weight", 32, False) == "Q6_K"
    assert k_quants.tensor_type("Q4_K_S", "blk.3.attn_v.weight", 32, False) == "Q5_K"
    assert k_quants.tensor_type("Q4_K_S", "blk.4.attn_v.weight", 32, False) == "Q4_K"
    assert k_quants.tensor_type("Q4_K_M", "output.weight", 32, False) == "Q6_K"
    assert k_quants.tensor_type("Q4_K_M", "token_embd.weight", 32, False) == "Q4_K"
    assert k_quants.tensor_type("Q4_K_M", "token_embd.weight", 32, True) == "Q6_K"
    assert k_quants.fitting("Q4_K", 128, 256) == "Q5_0"


@pytest.mark.engine
def test_a_k_quant_of_rows_of_whole_blocks_answers_as_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    base = _wide(tmp_path)
    export = exports_here.exporter(tmp_path, monkeypatch)
    made = export(Export(what="gguf", base=str(base), base_name="wide", type="Q4_K_M", output=str(tmp_path / "k.gguf")))
    assert made.checked, made.verdict
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "k.gguf").tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q4_K"
    assert kinds["token_embd.weight"] == "Q6_K"
    assert kinds["blk.0.attn_norm.weight"] == "F32"


@pytest.mark.engine
def test_rows_that_blocks_of_256_do_not_fill_get_narrower_ones(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    export = exports_here.exporter(tmp_path, monkeypatch)
    job = Export(
        what="gguf",
        base=str(tiny_models.base),
        adapter=str(tiny_models.lora_a),
        type="Q4_K_M",
        output=str(tmp_path / "k.gguf"),
    )
    made = export(job)
    assert made.checked
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "k.gguf").tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q5_0"
    assert kinds["blk.0.ffn_down.weight"] == "Q4_K"  # of 256 columns


def _wide(folder: Path) -> Path:
    """A base whose rows are of whole blocks of 256."""
    import torch
    import transformers

    import tiny_models as tiny

    tokens: Any = tiny.tokenizer(vocabulary=600)
    config = transformers.Qwen2Config(
        vocab_size=len(tokens),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
    )
    torch.manual_seed(0)
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder / "wide")
    tokens.save_pretrained(folder / "wide")
    return folder / "wide"
