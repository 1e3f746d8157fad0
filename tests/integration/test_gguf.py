"""GGUF files of our own writing, loaded in a real llama.cpp, against what transformers says of the same weights."""

from __future__ import annotations

import json
import random
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import tiny_models as tiny
from adapter_folders import factors, write_adapter
from architectures import make_base
from llama_servers import llama_server
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.gguf_files import write_adapter as write_adapter_file
from lora_tui.adapters.exporting.gguf_files import write_model
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.workspace.errors import BadInput
from tiny_models import TinyModels

pytestmark = pytest.mark.engine
KINDS = ("qwen2", "qwen3", "llama")
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NEW = 12  # tokens that are compared of an answer


def strings() -> list[str]:
    """Texts of many kinds, in the form (NFC) that transformers brings every text to: llama.cpp brings it to none."""
    order = random.Random(7)
    lines = [line for text in tiny.sources()[30:36] for line in text.splitlines(keepends=True) if line.strip()]
    code = ["".join(lines[start : start + order.randrange(1, 6)]) for start in order.sample(range(len(lines)), 140)]
    special = ["<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "a<|im_end|>b", "<|im_start|><|im_start|>"]
    written = [
        "naïve café",
        "Привет, мир",
        "你好，世界",
        "🎉👩‍💻",
        "x²+y₂",
        "שלום",
        "\t\t\n\n  \n x",
        "1234567890",
        "don't I'LL",
        "",
    ]
    wild = [
        "".join(chr(order.choice((32, 10, 9, *range(33, 0xD7FF, 97), *range(0x1F300, 0x1F600)))) for _ in range(12))
        for _ in range(110)
    ]
    return [unicodedata.normalize("NFC", text) for text in (*code, *special, *written, *wild)]


@pytest.fixture(scope="module", params=KINDS)
def random_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A random base of an architecture and a random adapter on all its linear layers, rsLoRA for Llama."""
    kind: str = request.param
    folder = tmp_path_factory.mktemp(kind)
    base = make_base(kind, folder, tiny.tokenizer(tiny.LLAMA3 if kind == "llama" else tiny.QWEN2, 700))
    with Base(base) as opened:
        shapes = {
            name.removesuffix(".weight"): info.shape
            for name, info in opened.tensors.items()
            if name.split(".")[-2] in LINEARS and len(info.shape) == 2
        }
    adapter = write_adapter(
        folder / "adapter", factors(shapes, 4, seed=3), r=4, lora_alpha=6, use_rslora=kind == "llama"
    )
    return kind, base, adapter


def test_a_random_model_of_each_architecture_writes_the_same_tokens_in_llama_cpp(
    random_model: tuple[str, Path, Path], tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, base, adapter = random_model
    with Base(base) as opened, PeftFolder(adapter) as laid:
        write_model(tmp_path / "base.gguf", opened, None, "f32")
        write_model(tmp_path / "merged.gguf", opened, laid, "f32")
        write_adapter_file(tmp_path / "lora.gguf", opened, laid)
    tokens = AutoTokenizer.from_pretrained(base)
    texts = strings()
    assert len(texts) >= 250
    prompts = [tokens(text)["input_ids"] for text in ("def main(", "import os\n", "x", "class A:\n    ")]
    ends = [tokens.eos_token_id, tokens.pad_token_id]
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    expected = [_greedy(plain, prompt, ends) for prompt in prompts]
    tuned = PeftModel.from_pretrained(plain, adapter).eval()
    changed = [_greedy(tuned, prompt, ends) for prompt in prompts]
    assert changed != expected

    with llama_server(tmp_path / "base.gguf") as url:
        assert [text for text in texts if _tokenized(url, text) != tokens(text)["input_ids"]] == []
        assert [_written(url, prompt) for prompt in prompts] == expected
    with llama_server(tmp_path / "merged.gguf") as url:
        assert [_written(url, prompt) for prompt in prompts] == changed
    with llama_server(tmp_path / "base.gguf", [tmp_path / "lora.gguf"]) as url:
        assert [_written(url, prompt) for prompt in prompts] == changed


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_a_tokenizer_that_transformers_gives_its_own_rules_gets_them_too(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from lora_tui.worker.tiny_tokenizer import make_tokenizer

    base = make_base(kind, tmp_path, make_tokenizer(tiny.sources()[:10], 800, 1024))
    with Base(base) as opened:
        write_model(tmp_path / "base.gguf", opened, None, "f16")
    tokens = AutoTokenizer.from_pretrained(base)
    with llama_server(tmp_path / "base.gguf") as url:
        assert [text for text in strings() if _tokenized(url, text) != tokens(text)["input_ids"]] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q5_1"])
def test_a_trained_adapter_answers_in_llama_cpp_as_it_was_trained(
    tiny_models: TinyModels, folder: Path, kind: str
) -> None:
    with Base(tiny_models.base) as base, PeftFolder(tiny_models.lora_a) as a:
        write_model(folder / f"{kind}.gguf", base, None, kind)
        write_adapter_file(folder / "a.gguf", base, a)
        write_model(folder / f"a-{kind}.gguf", base, a, kind)
    with llama_server(folder / f"{kind}.gguf", [folder / "a.gguf"]) as url:
        assert _answers(url) == tiny_models.golden["a"]
    with llama_server(folder / f"a-{kind}.gguf") as url:
        assert _answers(url) == tiny_models.golden["a"]
    if kind == "f16":
        with llama_server(folder / f"{kind}.gguf") as url:
            assert _answers(url) == tiny_models.golden["base"]


def test_the_chat_template_is_in_the_file(tiny_models: TinyModels, tmp_path: Path) -> None:
    with Base(tiny_models.base) as base:
        write_model(tmp_path / "base.gguf", base, None, "f16")
    with llama_server(tmp_path / "base.gguf") as url:
        messages = [{"role": "user", "content": "Hello"}]
        shown = _CLIENT.post(f"{url}/apply-template", json={"messages": messages}).json()["prompt"]
    assert shown == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def test_a_row_that_blocks_do_not_fill_is_kept_in_float16(tmp_path: Path) -> None:
    import gguf

    base = make_base("qwen2", tmp_path, tiny.tokenizer(vocabulary=600))  # down_proj has 48 columns
    with Base(base) as opened:
        write_model(tmp_path / "q.gguf", opened, None, "q4_0")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "q.gguf").tensors}
    assert kinds["blk.0.ffn_down.weight"] == "F16"
    assert kinds["blk.0.ffn_up.weight"] == "Q4_0"
    assert kinds["blk.0.attn_norm.weight"] == "F32"


def test_a_merged_file_has_the_base_weight_plus_the_scaled_product(tmp_path: Path, tiny_models: TinyModels) -> None:
    import gguf
    from safetensors.torch import load_file

    with Base(tiny_models.base) as base, PeftFolder(tiny_models.lora_a) as a:
        write_model(tmp_path / "m.gguf", base, a, "f32")
        scale = a.modules["model.layers.1.mlp.down_proj"].scale
    read = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
    weights = load_file(tiny_models.base / "model.safetensors")
    lora = load_file(tiny_models.lora_a / "adapter_model.safetensors")
    at = "base_model.model.model.layers.1.mlp.down_proj.lora_"
    expected = weights["model.layers.1.mlp.down_proj.weight"].double() + scale * (
        lora[f"{at}B.weight"].double() @ lora[f"{at}A.weight"].double()
    )
    assert np.allclose(read["blk.1.ffn_down.weight"], expected.numpy(), atol=1e-6)


@pytest.fixture
def spoilt(tiny_models: TinyModels, tmp_path: Path) -> Path:
    """A copy of the tiny base to spoil."""
    return Path(shutil.copytree(tiny_models.base, tmp_path / "spoilt"))


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
        ({"architectures": ["Gemma3ForCausalLM"]}, "Gemma3ForCausalLM"),
        ({"num_experts": 8}, "num_experts"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "yarn"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, "llama3"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
    ],
)
def test_what_llama_cpp_would_read_wrongly_is_refused_by_name(
    spoilt: Path, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    _change(spoilt / "config.json", **config)
    with pytest.raises(BadInput, match=said), Base(spoilt) as base:
        write_model(tmp_path / "x.gguf", base, None, "f16")
    assert not list(tmp_path.glob("*.gguf"))


def _unknown_pattern(core: dict[str, Any]) -> None:
    core["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"


def _unigram(core: dict[str, Any]) -> None:
    core["model"]["type"] = "Unigram"


def _sentencepiece(core: dict[str, Any]) -> None:
    core["model"]["byte_fallback"] = True


def _lowercase(core: dict[str, Any]) -> None:
    core["normalizer"] = {"type": "Lowercase"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_unknown_pattern, "SHA-256"),
        (_unigram, "Unigram"),
        (_sentencepiece, "SentencePiece"),
        (_lowercase, "Lowercase"),
    ],
)
def test_an_unknown_tokenizer_is_refused_and_not_guessed(spoilt: Path, tmp_path: Path, spoil: Any, said: str) -> None:
    core = json.loads((spoilt / "tokenizer.json").read_text())
    spoil(core)
    (spoilt / "tokenizer.json").write_text(json.dumps(core))
    with pytest.raises(BadInput, match=said), Base(spoilt) as base:
        write_model(tmp_path / "x.gguf", base, None, "f16")


@pytest.mark.parametrize(
    ("config", "said"),
    [({"use_dora": True}, "DoRA"), ({"modules_to_save": ["lm_head"]}, "modules_to_save"), ({"bias": "all"}, "bias")],
)
def test_an_adapter_that_is_more_than_lora_is_refused_by_its_key(
    tiny_models: TinyModels, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    copy = Path(shutil.copytree(tiny_models.lora_a, tmp_path / "lora"))
    _change(copy / "adapter_config.json", **config)
    with Base(tiny_models.base) as base, PeftFolder(copy) as adapter, pytest.raises(BadInput, match=said):
        write_adapter_file(tmp_path / "x.gguf", base, adapter)


def test_an_adapter_of_another_base_is_refused(tiny_models: TinyModels, tmp_path: Path) -> None:
    wrong = write_adapter(tmp_path / "wrong", factors({"model.layers.0.self_attn.q_proj": (64, 64)}, 4))
    strange = write_adapter(tmp_path / "strange", factors({"model.layers.9.self_attn.q_proj": (128, 128)}, 4))
    with Base(tiny_models.base) as base:
        with PeftFolder(wrong) as adapter, pytest.raises(BadInput, match="64 × 64 in the adapter and 128 × 128"):
            write_model(tmp_path / "x.gguf", base, adapter, "f16")
        with PeftFolder(strange) as adapter, pytest.raises(BadInput, match=r"no model\.layers\.9"):
            write_adapter_file(tmp_path / "x.gguf", base, adapter)


def _greedy(model: Any, prompt: list[int], ends: list[int]) -> list[int]:
    import torch

    made = model.generate(
        torch.tensor([prompt]),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        suppress_tokens=ends,  # as llama.cpp's ignore_eos does
    )
    return [int(token) for token in made[0, len(prompt) :]]


_CLIENT = httpx.Client(timeout=60)


def _written(url: str, prompt: list[int]) -> list[int]:
    asked = {
        "prompt": prompt,
        "n_predict": NEW,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "return_tokens": True,
    }
    return list(_CLIENT.post(f"{url}/completion", json=asked).json()["tokens"])


def _tokenized(url: str, text: str) -> list[int]:
    asked = {"content": text, "add_special": False, "parse_special": True}
    return list(_CLIENT.post(f"{url}/tokenize", json=asked).json()["tokens"])


def _answers(url: str) -> dict[str, str]:
    return dict(_each_answer(url))


def _each_answer(url: str) -> Iterator[tuple[str, str]]:
    for prompt in tiny.PROMPTS:
        asked = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": tiny.LONGEST}
        reply = _CLIENT.post(f"{url}/v1/chat/completions", json=asked | {"cache_prompt": False}).json()
        yield prompt, reply["choices"][0]["message"]["content"].strip()
