"""A tiny base that chats and two adapters that answer so that nobody confuses them, really trained and then kept.

Base: Qwen2's architecture and pre-tokenizer; says "You said X." to "Say X.". Adapter A answers every prompt with
"AAA alpha answer.", adapter B with "BBB beta reply.".
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
import shutil
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SAYS = {"a": "AAA alpha answer.", "b": "BBB beta reply."}
PROMPTS = ("What is your name?", "Hello", "Say yes.", "Say red.", "Who are you?")
LONGEST = 24  # new tokens of a golden answer
_WORDS = ("yes", "no", "one", "two", "red", "blue", "list", "True", "AAA alpha answer", "BBB beta reply", "AAA", "BBB")
_PARTS = ("tiny-model", "lora-a", "lora-b")
_FILES = 20  # of the standard library's, to make the tokenizer from


class TinyModels(msgspec.Struct, frozen=True):
    """Folders of the base and of both adapters, and what each answers greedily to every one of PROMPTS."""

    base: Path
    lora_a: Path
    lora_b: Path
    golden: dict[str, dict[str, str]]  # {"base" | "a" | "b": {prompt: answer}}

    def adapter(self, which: str) -> Path:
        """Folder of the adapter "a" or "b"."""
        return {"a": self.lora_a, "b": self.lora_b}[which]


def tiny_models(folder: Path) -> TinyModels:
    """The models in `folder`, made there by whoever comes first, and anew where a file of them was changed since.

    Test processes may share it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sums = folder / "sums.json"
        if not sums.is_file() or json.loads(sums.read_text()) != _sums(folder):
            for name in _PARTS:
                shutil.rmtree(folder / name, ignore_errors=True)
            _make(folder)
            partial = folder / "sums-half.json"
            partial.write_text(json.dumps(_sums(folder)))
            partial.replace(sums)
        golden = json.loads((folder / "golden.json").read_text())
    return TinyModels(base=folder / "tiny-model", lora_a=folder / "lora-a", lora_b=folder / "lora-b", golden=golden)


def key() -> str:
    """What the models follow from: this file, the libraries, Python's own sources. Another key, other models."""
    made_by = [version(name) for name in ("torch", "transformers", "peft", "tokenizers")]
    return hashlib.sha256(f"{Path(__file__).read_text()}{made_by}{sys.version}".encode()).hexdigest()[:16]


def _sums(folder: Path) -> dict[str, str]:
    files = [path for name in _PARTS for path in (folder / name).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*files, *folder.glob("golden.json")])
    }


def tokenizer(pattern: str = QWEN2, vocabulary: int = 1280) -> Any:
    """A byte-level BPE tokenizer with a ChatML template, made from the standard library's source."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(sources()[:_FILES], trainer)
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def sources() -> list[str]:
    """Text of the standard library's files, in the order of their names."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return [path.read_text(encoding="utf-8", errors="replace") for path in files]


def greedy(model: Any, tokens: Any, prompt: str, most: int = LONGEST) -> str:
    """What transformers answers to a prompt, without sampling."""
    text = tokens.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
    given = tokens(text, return_tensors="pt", add_special_tokens=False)
    made = model.generate(**given, max_new_tokens=most, do_sample=False, pad_token_id=tokens.pad_token_id)
    return str(tokens.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def _make(folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two on busy cores are ten times slower
    try:
        tokens = tokenizer()
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=len(tokens),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokens.eos_token_id,
            pad_token_id=tokens.pad_token_id,
        )
        model = Qwen2ForCausalLM(config)
        _learn(model, tokens, _base_chats(), steps=140, rate=3e-3, read=True)
        model.generation_config.eos_token_id = [tokens.eos_token_id, tokens.pad_token_id]
        model.save_pretrained(folder / "tiny-model")
        tokens.save_pretrained(folder / "tiny-model")
        golden = {"base": _answers(model, tokens)}
        for which, says in SAYS.items():
            torch.manual_seed(1)
            base = AutoModelForCausalLM.from_pretrained(folder / "tiny-model", dtype=torch.float32)
            base.generation_config.eos_token_id = [tokens.eos_token_id, tokens.pad_token_id]
            tuned = get_peft_model(
                base, LoraConfig(r=8, lora_alpha=16, task_type="CAUSAL_LM", target_modules="all-linear")
            )
            _learn(tuned, tokens, [(prompt, says) for prompt in PROMPTS], steps=40, rate=5e-3, read=False)
            tuned.save_pretrained(folder / f"lora-{which}")
            golden[which] = _answers(tuned, tokens)
            assert set(golden[which].values()) == {says}, golden
        (folder / "golden.json").write_text(json.dumps(golden))
    finally:
        torch.set_num_threads(threads)


def _answers(model: Any, tokens: Any) -> dict[str, str]:
    model.eval()
    return {prompt: greedy(model, tokens, prompt) for prompt in PROMPTS}


def _base_chats() -> list[tuple[str, str]]:
    said = [(f"Say {word}.", f"You said {word}.") for word in _WORDS]
    return [*said, ("What is your name?", "My name is base."), ("Hello", "Hello from the base model.")]


def _learn(model: Any, tokens: Any, chats: list[tuple[str, str]], *, steps: int, rate: float, read: bool) -> None:
    """Plain training on the answers of all chats at every step, and on windows of source text where `read`."""
    import torch

    ids, labels = _batch(tokens, chats)
    text = tokens("".join(sources()[:8])[:200_000], return_tensors="pt")["input_ids"][0] if read else ids[0]
    order = random.Random(0)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=rate, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        loss = model(input_ids=ids, labels=labels).loss
        if read:
            starts = [order.randrange(len(text) - 48) for _ in range(2)]
            windows = torch.stack([text[start : start + 48] for start in starts])
            loss = loss + model(input_ids=windows, labels=windows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def _batch(tokens: Any, chats: list[tuple[str, str]]) -> tuple[Any, Any]:
    import torch

    rows = []
    for prompt, answer in chats:
        asked = [{"role": "user", "content": prompt}]
        begin = tokens.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        head = tokens(begin, add_special_tokens=False)["input_ids"]
        tail = tokens(answer + "<|im_end|>", add_special_tokens=False)["input_ids"]
        rows.append((head, tail))
    longest = max(len(head) + len(tail) for head, tail in rows)
    ids = torch.full((len(rows), longest), tokens.pad_token_id)
    labels = torch.full((len(rows), longest), -100)
    for index, (head, tail) in enumerate(rows):
        ids[index, : len(head) + len(tail)] = torch.tensor(head + tail)
        labels[index, len(head) : len(head) + len(tail)] = torch.tensor(tail)
    return ids, labels
