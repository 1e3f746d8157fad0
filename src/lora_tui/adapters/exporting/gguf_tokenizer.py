"""A byte-level BPE tokenizer.json as GGUF metadata.

llama.cpp knows pre-tokenizers by name, and a wrong one cuts text in other places without a word: the name is found by
the SHA-256 of the regular expression, and an unknown one is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from lora_tui.adapters.exporting.base import read_json
from lora_tui.workspace.errors import BadInput

PRE_TOKENIZERS = {
    "1ff7f41064896984db5d1bb6ff64fa4bc29007d08c1b439e505b7392777a319e": "qwen2",
    "d98f9631be1e9607a9848c26c1f9eac1aa9fc21ac6ba82a2fc0741af9780a48f": "llama-bpe",
}
BYTE_LEVEL = "gpt-2"  # tokenizers' ByteLevel with its own expression, which is GPT-2's


def add_tokenizer(writer: Any, folder: Path, config: dict[str, Any], library: Any) -> None:
    """Write the tokenizer and chat template of a model folder into a GGUFWriter. Raises BadInput.

    `config`: the model's, which has its vocab_size and model_type.
    """
    path = folder / "tokenizer.json"
    core = read_json(path) if path.is_file() else _without(folder)
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    pre = pre_tokenizer(core, path)
    if pre == BYTE_LEVEL and _gets_qwens_rules(config, settings):
        pre = "qwen2"
    tokens, types = _tokens(core, int(config["vocab_size"]), path, library.TokenType)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([_merge(pair) for pair in core["model"]["merges"]])
    ids = {token: index for index, token in enumerate(tokens)}
    for key, add in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("pad_token", writer.add_pad_token_id),
    ):
        named = settings.get(key)
        token = named.get("content") if isinstance(named, dict) else named
        if token in ids:
            add(ids[token])
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))
    if template := chat_template(folder, settings):
        writer.add_chat_template(template)


def chat_template(folder: Path, settings: dict[str, Any]) -> str:
    """The chat template of a model folder: its own file, else the one in tokenizer_config.json; empty for none."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    found = settings.get("chat_template")
    if isinstance(found, list):  # several by name
        found = next((one.get("template") for one in found if one.get("name") == "default"), "")
    return found if isinstance(found, str) else ""


def pre_tokenizer(core: dict[str, Any], path: Path) -> str:
    """llama.cpp's name of a tokenizer.json's pre-tokenizer. Raises BadInput for one not known to be the same."""
    model = core.get("model") or {}
    if (kind := model.get("type")) != "BPE":
        raise _refused(f"its kind is {kind}: only byte-level BPE is converted", path)
    if model.get("byte_fallback"):
        raise _refused("it is a SentencePiece vocabulary: only byte-level BPE is converted", path)
    normalizer = core.get("normalizer") or {}
    if normalizer.get("type") not in (None, "NFC"):
        raise _refused(f"it normalises text by {normalizer['type']}, which llama.cpp does not", path)
    first = core.get("pre_tokenizer") or {}
    steps = first.get("pretokenizers") or [first]
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise _refused("it is not byte-level", path)
    expressions = [(step.get("pattern") or {}).get("Regex", "") for step in steps[:-1] if step.get("type") == "Split"]
    if last.get("use_regex", True):
        if len(steps) == 1:
            return BYTE_LEVEL
        raise _refused("its pre-tokenizer cuts twice", path)
    digest = hashlib.sha256("".join(expressions).encode()).hexdigest()
    if digest not in PRE_TOKENIZERS or len(expressions) != len(steps) - 1:
        raise _refused(f"its pre-tokenizer (SHA-256 {digest[:16]}…) is not one llama.cpp is known to have", path)
    return PRE_TOKENIZERS[digest]


def _gets_qwens_rules(config: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether transformers 5 makes it a Qwen2Tokenizer, which has its own rules and not those of tokenizer.json.

    It does so for this model_type whatever tokenizer_config.json says (models/auto/tokenization_auto.py).
    """
    named = str(settings.get("tokenizer_class") or "").removesuffix("Fast")
    return config.get("model_type") == "qwen2" or named == "Qwen2Tokenizer"


def _tokens(core: dict[str, Any], vocab_size: int, path: Path, kinds: Any) -> tuple[list[str], list[int]]:
    """Exactly `vocab_size` tokens with their types; gaps are unused."""
    tokens = [f"[PAD{index}]" for index in range(vocab_size)]
    types = [int(kinds.UNUSED)] * vocab_size
    ordinary = core["model"]["vocab"].items()
    added = [(one["content"], one["id"], one.get("special")) for one in core.get("added_tokens") or []]
    if max([index for _, index in ordinary] + [index for _, index, _ in added], default=0) >= vocab_size:
        raise _refused(f"it has tokens beyond the model's {vocab_size} embeddings", path)
    for token, index in ordinary:
        tokens[index], types[index] = token, int(kinds.NORMAL)
    for token, index, special in added:
        tokens[index], types[index] = token, int(kinds.CONTROL if special else kinds.USER_DEFINED)
    return tokens, types


def _merge(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(part.replace(" ", "Ġ") for part in pair)


def _without(folder: Path) -> dict[str, Any]:
    other = next((name for name in ("tokenizer.model", "spiece.model") if (folder / name).is_file()), "")
    why = f"{other} is SentencePiece: only byte-level BPE is converted" if other else "there is no tokenizer.json"
    raise _refused(why, folder)


def _refused(why: str, path: Path) -> BadInput:
    return BadInput(
        f"this tokenizer cannot be converted to GGUF: {why}",
        where=str(path),
        fix="Export it merged (`export merged`) and convert it with llama.cpp's own convert_hf_to_gguf.py.",
    )
