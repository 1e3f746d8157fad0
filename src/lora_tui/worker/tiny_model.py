"""The demo's base: a Qwen2-shaped model of two million parameters, made here in about a minute.

It has read a few hundred short chats and says what they said. It shows that the whole loop works; it knows nothing.
"""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers import logging as transformers_logging

from lora_tui.jobs import journal
from lora_tui.jobs.job import TinyBase
from lora_tui.worker.chats import load_chats
from lora_tui.worker.collate import Padded
from lora_tui.worker.requests import Requests
from lora_tui.worker.rows import Row
from lora_tui.worker.threads import choose_threads
from lora_tui.worker.tiny_tokenizer import PAD, make_tokenizer
from lora_tui.worker.tokenize import Tokens, tokenize
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput

VOCABULARY = 2048
CONTEXT = 2048
HIDDEN = 256
STEPS = 600
BATCH = 12
LONGEST = 256  # tokens of a row
CHUNK_LINES = 8  # plain texts are read in overlapping pieces of so many lines
LEARNING_RATE = 1.5e-3
WARMUP = 20
SEED = 0


def make_base(job: TinyBase, folder: Path, log: journal.Journal, asked: Requests) -> None:
    """Make the model in `job.output`; the folder appears only when it is complete. Raises BadInput when it exists."""
    output = folder / job.output
    if output.exists():
        raise BadInput("there is a base already", where=str(output), fix="Use it, or delete the folder first.")
    transformers_logging.disable_progress_bar()
    begin = time.monotonic()
    steps = job.steps or STEPS
    conversations, texts = load_chats(folder / job.chats)
    tokenizer = make_tokenizer(_reading(conversations, texts), VOCABULARY, CONTEXT)
    rows = _rows(tokenizer, conversations, texts)
    torch.manual_seed(SEED)
    model = Qwen2ForCausalLM(_shape(tokenizer))
    choose_threads(model)
    loss = _learn(model, rows, int(tokenizer.pad_token_id or 0), steps, log, asked)
    if asked.stop:
        log.write(journal.Stopped())
        return
    with atomic.new_folder(output) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    log.write(journal.Finished(steps=steps, loss=loss, seconds=time.monotonic() - begin, output=str(output)))


def _reading(conversations: list[list[dict[str, str]]], texts: list[str]) -> list[str]:
    return [message["content"] for messages in conversations for message in messages] + texts * 3


def _rows(
    tokenizer: PreTrainedTokenizerFast, conversations: list[list[dict[str, str]]], texts: list[str]
) -> list[Tokens]:
    """What it learns: in a chat the assistant's words, in a plain text every word."""
    chats = [Row(id=str(index), messages=messages) for index, messages in enumerate(conversations)]
    rows = [item for item in tokenize(tokenizer, chats, "chats", LONGEST) if isinstance(item, Tokens)]
    ids = tokenizer(_pieces(texts), truncation=True, max_length=LONGEST)["input_ids"]
    return rows + [Tokens(id="text", input_ids=row, labels=row) for row in ids]


def _pieces(texts: list[str]) -> list[str]:
    """Overlapping pieces of the plain texts."""
    pieces: list[str] = []
    for text in texts:
        lines = text.splitlines(keepends=True)
        pieces += ["".join(lines[at : at + CHUNK_LINES]) for at in range(0, max(1, len(lines) - 3), 2)]
    return [piece + PAD for piece in pieces]


def _shape(tokenizer: PreTrainedTokenizerFast) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=704,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def _learn(
    model: Qwen2ForCausalLM, rows: list[Tokens], pad: int, steps: int, log: journal.Journal, asked: Requests
) -> float:
    """Plain training in batches of similar length; returns the last loss in nats."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP) * (0.55 + 0.45 * math.cos(math.pi * step / steps))
    )
    order = random.Random(SEED)
    model.train()
    batches: list[list[Tokens]] = []
    collate = Padded(pad)
    tokens, epoch, value = 0, 0, math.nan
    for step in range(1, steps + 1):
        if asked.stop:
            break
        if not batches:
            batches = _batches(rows, order)
            epoch += 1
        batch = batches.pop()
        begin = time.monotonic()
        inputs = collate([{"input_ids": row.input_ids, "labels": row.labels} for row in batch])
        loss = model(**inputs).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        value = float(loss.detach())
        seconds = time.monotonic() - begin
        counted = sum(row.loss_tokens for row in batch)
        tokens += counted
        log.write(
            journal.Metrics(
                step=step,
                epoch=float(epoch),
                loss=value,
                learning_rate=schedule.get_last_lr()[0],
                grad_norm=float(norm),
                tokens=tokens,
                tokens_per_second=counted / seconds,
                step_seconds=seconds,
            )
        )
        log.write(journal.Progress(stage="teach the tiny base to answer", done=step, total=steps))
    model.eval()
    return value


def _batches(rows: list[Tokens], order: random.Random) -> list[list[Tokens]]:
    """All rows once, in batches of similar length, in random order."""
    mixed = sorted(rows, key=lambda row: len(row.input_ids) + order.random() * 8)
    batches = [mixed[at : at + BATCH] for at in range(0, len(mixed), BATCH)]
    order.shuffle(batches)
    return batches
