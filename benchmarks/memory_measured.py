"""Peaks of real runs on this machine's CPU, beside the estimate: models of random weights, each in its own process.

Started by `benchmarks/memory.py --measured`. The peak is what the operating system counted for the worker's process
(ru_maxrss), from its start to its end: imports, loading, two steps, an evaluation and a checkpoint after each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.backends import measure
from lora_tui.backends.needs import inside, needed
from lora_tui.backends.place import Place
from lora_tui.jobs import supervisor
from lora_tui.jobs.audit import Audited, Counted, Packing
from lora_tui.jobs.job import Train
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile, Training

CPU = Place("CPU", gpu=False, available=1 << 40, total=1 << 40)
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


class Case(msgspec.Struct, frozen=True):
    """A shape, settings, and rows of so many tokens."""

    name: str
    kind: str  # qwen2, llama, qwen3
    shape: dict[str, Any]
    lora: Lora
    training: Training
    length: int
    chosen_on: bool = False  # a constant was


CASES = (
    Case(
        "qwen2 0.002B",
        "qwen2",
        {"hidden_size": 128, "num_hidden_layers": 4, "intermediate_size": 352, "num_attention_heads": 4}
        | {"num_key_value_heads": 2, "vocab_size": 8192, "tie_word_embeddings": True},
        Lora(r=16),
        Training(per_device_train_batch_size=2, bf16=False),
        128,
        chosen_on=True,
    ),
    Case(
        "qwen2 0.08B, all-linear",
        "qwen2",
        {"hidden_size": 768, "num_hidden_layers": 6, "intermediate_size": 3072, "num_attention_heads": 12}
        | {"num_key_value_heads": 2, "vocab_size": 32_000, "tie_word_embeddings": True},
        Lora(r=16),
        Training(per_device_train_batch_size=2, bf16=False),
        768,
        chosen_on=True,
    ),
    Case(
        "llama 0.16B, dropout, attention",
        "llama",
        {"hidden_size": 1024, "num_hidden_layers": 8, "intermediate_size": 2816, "num_attention_heads": 16}
        | {"num_key_value_heads": 16, "vocab_size": 32_000, "tie_word_embeddings": False},
        Lora(r=8, lora_dropout=0.1, target_modules=ATTENTION),
        Training(per_device_train_batch_size=2, bf16=False),
        384,
    ),
    Case(
        "qwen3 0.09B, checkpointing",
        "qwen3",
        {"hidden_size": 512, "num_hidden_layers": 20, "intermediate_size": 1536, "num_attention_heads": 8}
        | {"num_key_value_heads": 4, "head_dim": 128, "vocab_size": 16_000, "tie_word_embeddings": True},
        Lora(r=64),
        Training(gradient_checkpointing=True, bf16=False),
        2560,
    ),
    Case(
        "qwen2 0.22B, 150k vocabulary, bf16",
        "qwen2",
        {"hidden_size": 896, "num_hidden_layers": 6, "intermediate_size": 4864, "num_attention_heads": 14}
        | {"num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True},
        Lora(r=8, target_modules=ATTENTION),
        Training(per_device_train_batch_size=2, bf16=True),
        192,
    ),
    Case(
        "qwen2 0.01B, long rows",
        "qwen2",
        {"hidden_size": 256, "num_hidden_layers": 8, "intermediate_size": 1024, "num_attention_heads": 4}
        | {"num_key_value_heads": 2, "vocab_size": 8_000, "tie_word_embeddings": True},
        Lora(r=16),
        Training(per_device_train_batch_size=4, bf16=False),
        1536,
    ),
    Case(
        "llama 0.34B, checkpointing, bf16",
        "llama",
        {"hidden_size": 1280, "num_hidden_layers": 16, "intermediate_size": 3584, "num_attention_heads": 20}
        | {"num_key_value_heads": 5, "vocab_size": 32_000, "tie_word_embeddings": False},
        Lora(r=16),
        Training(gradient_checkpointing=True, bf16=True),
        512,
    ),
    Case(
        "qwen3 0.24B, bf16, attention, dropout",
        "qwen3",
        {"hidden_size": 1024, "num_hidden_layers": 14, "intermediate_size": 3072, "num_attention_heads": 16}
        | {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 64_000, "tie_word_embeddings": True},
        Lora(r=32, lora_dropout=0.05, target_modules=ATTENTION),
        Training(per_device_train_batch_size=2, bf16=True),
        256,
    ),
)


def measured(scratch: Path) -> Iterator[tuple[Case, int, int, int]]:
    """(case, bytes reached, bytes estimated, bytes of the libraries) of each."""
    workspace = Workspace(scratch / "workspace")
    for number, case in enumerate(CASES):
        base, dataset = scratch / f"base{number}", scratch / f"dataset{number}"
        if not base.is_dir():
            subprocess.run([sys.executable, __file__, str(number), str(scratch)], check=True)
        profile = profile_of(case, str(base))
        sizes = measure.ensure(workspace, str(base), profile)
        found = audited_of(case, dataset, str(base))
        estimate = needed(profile, inside(str(base), profile, found, sizes), found, CPU)
        yield case, reached(workspace, profile, base, dataset), estimate.total, estimate.runtime


def profile_of(case: Case, base: str) -> Profile:
    """Two steps of one micro-batch."""
    training = msgspec.structs.replace(
        case.training,
        max_steps=2,
        gradient_accumulation_steps=1,
        max_length=case.length,
        eval_steps=1,
        save_steps=1,
        report_to=(),
    )
    return Profile(
        name="case",
        model=Model(base=base),
        lora=case.lora,
        training=training,
        forgetting=Forgetting(measure=False),
    )


def reached(workspace: Workspace, profile: Profile, base: Path, dataset: Path) -> int:
    """The peak of a run's own process. Raises RuntimeError where it did not finish."""
    run = supervisor.create(workspace, Train(profile=profile, base=str(base), dataset=str(dataset)), "case")
    child = subprocess.Popen(
        [sys.executable, "-m", "lora_tui.worker", str(run.folder / "job.toml")],
        stdout=subprocess.DEVNULL,
        stderr=(run.folder / "stderr.log").open("wb"),
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError((run.folder / "stderr.log").read_text()[-2000:])
    return used.ru_maxrss * 1024


def audited_of(case: Case, dataset: Path, base: str) -> Audited:
    """What an audit would count of the rows that `make` wrote."""
    facts = json.loads((dataset / "facts.json").read_text())
    counted = Counted(
        rows=facts["rows"],
        tokens=facts["rows"] * facts["longest"],
        loss_tokens=facts["rows"] * facts["labels"],
        longest=facts["longest"],
        most_loss_tokens=facts["labels"],
    )
    return Audited(
        dataset_hash="",
        base=base,
        tokenizer="",
        max_length=case.length,
        splits={"train": counted, "validation": msgspec.structs.replace(counted, rows=2)},
        rows={},
        left_out=(),
        cut=(),
        findings=(),
        packing=Packing(),
        longest=facts["longest"],
        vocabulary=case.shape["vocab_size"],
        hidden_size=case.shape["hidden_size"],
        layers=case.shape["num_hidden_layers"],
        seconds=0.0,
    )


def make(number: int, scratch: Path) -> None:
    """A base of random weights and a dataset for a case; in a process of its own, so that it is not measured."""
    import random

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from lora_tui.worker.rows import Row
    from lora_tui.worker.tiny_tokenizer import make_tokenizer
    from lora_tui.worker.tokenize import Tokens, tokenize

    case = CASES[number]
    words = [f"{letter}{other}{third}" for letter in "abcdefgh" for other in "aeiou" for third in "nrst"]
    rng = random.Random(number)
    tokenizer = make_tokenizer([" ".join(rng.choices(words, k=4000))], 2000, 4096)
    torch.manual_seed(0)
    config = AutoConfig.for_model(case.kind, max_position_embeddings=4096, **case.shape)
    config.pad_token_id, config.eos_token_id, config.bos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id, None
    dtype = torch.bfloat16 if case.training.bf16 else torch.float32
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(scratch / f"base{number}")
    tokenizer.save_pretrained(scratch / f"base{number}")

    def row(index: int, count: int) -> Row:
        said = [" ".join(rng.choices(words, k=size)) for size in (count // 2, count - count // 2)]
        messages = [{"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]}]
        return Row(id=f"row-{index}", messages=messages)

    def tokens(item: Row) -> Tokens | None:
        made = next(iter(tokenize(tokenizer, [item], "train", 1 << 20)))
        return made if isinstance(made, Tokens) else None

    folder = scratch / f"dataset{number}"
    folder.mkdir()
    rows, longest, labels = [], 0, 0
    while len(rows) < 2 * case.training.per_device_train_batch_size:
        low, high = 1, 2 * case.length
        while high - low > 1:  # as many words as fit
            middle = (low + high) // 2
            made = tokens(row(0, middle))
            low, high = (middle, high) if made and len(made.input_ids) <= case.length - 24 else (low, middle)
        item = row(len(rows), low)
        made = tokens(item)
        if made is None or len(made.input_ids) > case.length:
            continue
        longest, labels = max(longest, len(made.input_ids)), max(labels, made.loss_tokens)
        rows.append(json.dumps({"id": item.id, "messages": item.messages}) + "\n")
    (folder / "train.jsonl").write_text("".join(rows))
    (folder / "validation.jsonl").write_text("".join(rows[:2]))
    (folder / "facts.json").write_text(json.dumps({"rows": len(rows), "longest": longest, "labels": labels}))


if __name__ == "__main__":
    make(int(sys.argv[1]), Path(sys.argv[2]))
