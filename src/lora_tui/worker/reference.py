"""A model's own words for a comparison: token ids of texts, greedy answers with how sure each token was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoTokenizer

from lora_tui.jobs.reference import Asked, Said, Written
from lora_tui.worker import loading
from lora_tui.worker.generate import stop_ids
from lora_tui.workspace import atomic


def write(asked: Path, said: Path) -> None:
    """Answer what the file `asked` asks into the file `said`. Raises BadInput when a model cannot be loaded."""
    wanted = msgspec.json.decode(asked.read_bytes(), type=Asked)
    atomic.write_bytes(said, msgspec.json.encode(say(wanted)))


def say(asked: Asked) -> Said:
    """Load, ask, and let go. It is done on the processor: a GPU may be busy, and rounds otherwise."""
    tokenizer = AutoTokenizer.from_pretrained(asked.base, local_files_only=True)
    model = loading.load_model(asked.base, bf16=asked.dtype == "bfloat16", fp16=asked.dtype == "float16", device="cpu")
    if asked.adapter:
        model = loading.load_adapter(model, asked.adapter)
    model.eval()
    stops = stop_ids(model, tokenizer)
    return Said(
        texts=tuple(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in asked.texts),
        answers=tuple(_answer(model, tokenizer, prompt, stops, asked.new_tokens) for prompt in asked.prompts),
        stops=tuple(sorted(stops)),
    )


def _answer(model: Any, tokenizer: Any, prompt: str, stops: set[int], most: int) -> Written:
    text = prompt
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    given = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    ids, cache = given, None
    tokens: list[int] = []
    logprobs: list[float] = []
    margins: list[float] = []
    while len(tokens) < most:
        with torch.inference_mode():
            output = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        best = torch.log_softmax(output.logits[0, -1].float(), -1).topk(2)
        token = int(best.indices[0])
        logprobs.append(float(best.values[0]))
        margins.append(float(best.values[0] - best.values[1]))
        if token in stops:
            break
        tokens.append(token)
        ids = torch.tensor([[token]])
    return Written(
        prompt=text,
        prompt_tokens=tuple(int(token) for token in given[0]),
        tokens=tuple(tokens),
        text=tokenizer.decode(tokens, skip_special_tokens=True),
        logprobs=tuple(logprobs),
        margins=tuple(margins),
    )
